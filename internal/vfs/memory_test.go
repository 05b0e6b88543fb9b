package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// crashes answers what some hundred power cuts make of m, as trees, each with how often it came out.
func crashes(t *testing.T, m *Memory, dir string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for seed := range uint64(400) {
		seen[tree(t, m.Crash(seeded(seed)), dir)]++
	}
	return seen
}

// open answers an open file with text in it; name and bytes are durable.
func durableFile(t *testing.T, m *Memory, name, text string) File {
	t.Helper()
	must(t, m.MkdirAll(path.Dir(name)))
	f, err := m.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	must(t, m.SyncFS("/"))
	return f
}

func TestAPowerCutTakesWhatIsNotSynced(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, m *Memory, f File) // f is /d/f, durable with the text "old"
		want string                                // after the strictest power cut
		also []string                              // what must come out of some draw as well
		not  func(tree string) bool                // what no draw may bring
	}{
		{
			name: "a new file without SyncDir",
			do: func(t *testing.T, m *Memory, f File) {
				write(t, m, "/d/new", "text")
				n, err := m.Open("/d/new")
				must(t, err)
				must(t, n.Sync())
			},
			want: "f = old\n",
			also: []string{"f = old\nnew = text\n"},
			not:  func(tree string) bool { return tree != "f = old\n" && tree != "f = old\nnew = text\n" },
		},
		{
			name: "a new file with SyncDir and without Sync",
			do: func(t *testing.T, m *Memory, f File) {
				write(t, m, "/d/new", "text")
				must(t, m.SyncDir("/d"))
			},
			want: "f = old\nnew = \n",
			also: []string{"f = old\nnew = text\n", "f = old\nnew = te\n", "f = old\nnew = \x00\x00\x00\x00\n", "f = old\nnew = te\x00\x00\n"},
			not:  func(tree string) bool { return !strings.Contains(tree, "new = ") },
		},
		{
			name: "both synced",
			do: func(t *testing.T, m *Memory, f File) {
				write(t, m, "/d/new", "text")
				n, err := m.Open("/d/new")
				must(t, err)
				must(t, n.SyncData())
				must(t, m.SyncDir("/d"))
			},
			want: "f = old\nnew = text\n",
			not:  func(tree string) bool { return tree != "f = old\nnew = text\n" },
		},
		{
			name: "an overwrite leaves old bytes, new bytes or a torn mixture, never other ones",
			do: func(t *testing.T, m *Memory, f File) {
				_, err := f.WriteAt([]byte("NEW"), 0)
				must(t, err)
			},
			want: "f = old\n",
			also: []string{"f = NEW\n", "f = Nld\n", "f = NEd\n"},
			not: func(tree string) bool {
				return !strings.Contains("f = old\nf = NEW\nf = Nld\nf = NEd\n", tree)
			},
		},
		{
			name: "an append never harms what was synced before it",
			do: func(t *testing.T, m *Memory, f File) {
				_, err := f.WriteAt([]byte("+new"), 3)
				must(t, err)
			},
			want: "f = old\n",
			also: []string{"f = old+new\n", "f = old+n\n", "f = old\x00\x00\x00\x00\n"},
			not:  func(tree string) bool { return !strings.HasPrefix(tree, "f = old") || len(tree) > len("f = old+new\n") },
		},
		{
			name: "a cut",
			do:   func(t *testing.T, m *Memory, f File) { must(t, f.Truncate(1)) },
			want: "f = old\n",
			also: []string{"f = o\n"},
			not:  func(tree string) bool { return tree != "f = old\n" && tree != "f = o\n" },
		},
		{
			name: "a cut that is synced",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, f.Truncate(1))
				must(t, f.SyncData())
			},
			want: "f = o\n",
			not:  func(tree string) bool { return tree != "f = o\n" },
		},
		{
			name: "an extension",
			do:   func(t *testing.T, m *Memory, f File) { must(t, f.Truncate(5)) },
			want: "f = old\n",
			also: []string{"f = old\x00\x00\n"},
			not:  func(tree string) bool { return tree != "f = old\n" && tree != "f = old\x00\x00\n" },
		},
		{
			name: "a rename is whole or not at all",
			do:   func(t *testing.T, m *Memory, f File) { must(t, m.Rename("/d/f", "/d/g")) },
			want: "f = old\n",
			also: []string{"g = old\n"},
			not:  func(tree string) bool { return tree != "f = old\n" && tree != "g = old\n" },
		},
		{
			name: "replacing a file by one that was synced",
			do: func(t *testing.T, m *Memory, f File) {
				write(t, m, "/d/tmp", "new")
				tmp, err := m.Open("/d/tmp")
				must(t, err)
				must(t, tmp.Sync())
				must(t, m.Rename("/d/tmp", "/d/f"))
			},
			want: "f = old\n",
			also: []string{"f = new\n", "f = old\ntmp = new\n"},
			not: func(tree string) bool {
				return tree != "f = old\n" && tree != "f = new\n" && tree != "f = old\ntmp = new\n"
			},
		},
		{
			name: "replacing a file by one that was not synced may empty it",
			do: func(t *testing.T, m *Memory, f File) {
				write(t, m, "/d/tmp", "new")
				must(t, m.Rename("/d/tmp", "/d/f"))
				must(t, m.SyncDir("/d"))
			},
			want: "f = \n",
			also: []string{"f = new\n", "f = \x00\x00\x00\n"},
			not:  func(tree string) bool { return tree == "f = old\n" },
		},
		{
			name: "a removal",
			do:   func(t *testing.T, m *Memory, f File) { must(t, m.Remove("/d/f")) },
			want: "f = old\n",
			also: []string{""},
			not:  func(tree string) bool { return tree != "" && tree != "f = old\n" },
		},
		{
			name: "a removal that is synced",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, m.Remove("/d/f"))
				must(t, m.SyncDir("/d"))
			},
			want: "",
			not:  func(tree string) bool { return tree != "" },
		},
		{
			name: "a rename to another folder needs both folders synced",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, m.MkdirAll("/d/sub"))
				must(t, m.SyncDir("/d"))
				must(t, m.Rename("/d/f", "/d/sub/f"))
				must(t, m.SyncDir("/d"))
			},
			want: "f = old\nsub/\n",
			also: []string{"sub/\n  f = old\n"},
			not:  func(tree string) bool { return strings.Count(tree, "f = old") != 1 },
		},
		{
			name: "a folder's new name does not save what is in it",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, m.MkdirAll("/d/sub"))
				write(t, m, "/d/sub/x", "")
				must(t, m.SyncDir("/d"))
			},
			want: "f = old\nsub/\n",
			also: []string{"f = old\nsub/\n  x = \n"},
			not:  func(tree string) bool { return !strings.Contains(tree, "sub/") },
		},
		{
			name: "what is synced in a folder is lost with the folder's name",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, m.MkdirAll("/d/sub"))
				write(t, m, "/d/sub/x", "")
				must(t, m.SyncDir("/d/sub"))
			},
			want: "f = old\n",
			also: []string{"f = old\nsub/\n  x = \n"},
			not:  func(tree string) bool { return tree != "f = old\n" && tree != "f = old\nsub/\n  x = \n" },
		},
		{
			name: "SyncFS saves everything",
			do: func(t *testing.T, m *Memory, f File) {
				must(t, m.MkdirAll("/d/sub"))
				write(t, m, "/d/sub/x", "text")
				must(t, m.Rename("/d/f", "/d/sub/f"))
				must(t, m.SyncFS("/d"))
			},
			want: "sub/\n  f = old\n  x = text\n",
			not:  func(tree string) bool { return tree != "sub/\n  f = old\n  x = text\n" },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := NewMemory()
			f := durableFile(t, m, "/d/f", "old")
			test.do(t, m, f)
			now := tree(t, m, "/d")
			wantTree(t, m.CrashStrict(), "/d", test.want)
			seen := crashes(t, m, "/d")
			for _, want := range append(test.also, test.want) {
				if seen[want] == 0 {
					t.Errorf("no draw brings\n%q\nseen:\n%v", want, seen)
				}
			}
			for tree := range seen { // any order: each must be allowed
				if test.not(tree) {
					t.Errorf("a draw brings what cannot be:\n%q", tree)
				}
			}
			wantTree(t, m, "/d", now) // m itself lives on

			// What a kill -9 leaves is all there, and no more durable than before.
			killed := m.Kill()
			wantTree(t, killed, "/d", now)
			wantTree(t, killed.CrashStrict(), "/d", test.want)
			// And what the first power cut spared is durable.
			after := m.Crash(seeded(7))
			wantTree(t, after.CrashStrict(), "/d", tree(t, after, "/d"))
		})
	}
}

func TestNameChangesMayPersistOutOfOrder(t *testing.T) {
	m := NewMemory()
	must(t, m.MkdirAll("/d"))
	must(t, m.SyncDir("/"))
	for _, name := range []string{"a", "b", "c"} {
		write(t, m, "/d/"+name, "")
	}
	seen := crashes(t, m, "/d")
	for _, want := range []string{"", "a = \n", "a = \nb = \n", "a = \nb = \nc = \n", "c = \n", "a = \nc = \n"} {
		if seen[want] == 0 {
			t.Errorf("no draw brings %q", want)
		}
	}
}

func TestAnInodeNeverComesBackUnderTwoNames(t *testing.T) {
	m := NewMemory()
	f := durableFile(t, m, "/d/0", "only one")
	defer f.Close()
	must(t, m.MkdirAll("/e"))
	must(t, m.SyncDir("/"))
	for i, name := range []string{"/d/1", "/e/2", "/e/3", "/d/4", "/d/5"} {
		from := []string{"/d/0", "/d/1", "/e/2", "/e/3", "/d/4"}[i]
		must(t, m.Rename(from, name))
		if i == 2 {
			must(t, m.SyncDir("/e")) // makes 2 -> 3 durable, and so 0 -> 1 -> 2 before it
			wantTree(t, m.CrashStrict(), "/", "d/\ne/\n  3 = only one\n")
		}
	}
	for tree := range crashes(t, m, "/") { // any order: each must be allowed
		if strings.Count(tree, "only one") != 1 {
			t.Errorf("the file is there %d times:\n%s", strings.Count(tree, "only one"), tree)
		}
	}
}

func TestTornSectorsHoldOldBytesZerosOrGarbage(t *testing.T) {
	m := NewMemory()
	old := strings.Repeat("o", 6000)
	f := durableFile(t, m, "/f", old)
	_, err := f.WriteAt(bytes.Repeat([]byte("n"), 10000), 3000)
	must(t, err)
	var sizeAhead, zeros, garbage, sectors, pages, bytewise int
	for seed := range uint64(2000) {
		got := read(t, m.Crash(seeded(seed)), "/f")
		if !strings.HasPrefix(got, old[:3000]) {
			t.Fatalf("seed %d: synced bytes are gone", seed)
		}
		for i := 3000; i < min(len(got), 6000); i++ {
			if got[i] != 'o' && got[i] != 'n' {
				t.Fatalf("seed %d: byte %d was o, then n, and is now %q", seed, i, got[i])
			}
		}
		if len(got) < 6000 || len(got) > 13000 {
			t.Fatalf("seed %d: size %d", seed, len(got))
		}
		if len(got) > 6000 {
			sizeAhead++
		}
		fresh := got[6000:]
		if strings.Contains(fresh, "\x00\x00\x00\x00") {
			zeros++
		}
		if strings.Trim(fresh, "n\x00") != "" {
			garbage++
		}
		border := strings.IndexAny(strings.Replace(got[3000:], "n", "N", 1), "o\x00")
		if n := 3000 + border; border > 0 && n%pageSize == 0 {
			pages++
		} else if border > 0 && n%512 == 0 {
			sectors++
		} else if border > 0 && n != 3000 {
			bytewise++
		}
	}
	for what, n := range map[string]int{"grown": sizeAhead, "zeros": zeros, "garbage": garbage, "512": sectors, "4096": pages, "byte": bytewise} {
		if n < 20 {
			t.Errorf("%s: only %d of 2000 draws", what, n)
		}
	}
}

func TestTheSameSeedDrawsTheSameDisk(t *testing.T) {
	history := func() *Memory {
		m := NewMemory()
		for i := range 20 {
			dir := fmt.Sprintf("/d%d", i%3)
			must(t, m.MkdirAll(dir))
			write(t, m, fmt.Sprintf("%s/f%d", dir, i), strings.Repeat(fmt.Sprint(i), i*300))
		}
		must(t, m.SyncDir("/"))
		return m
	}
	a, b := history(), history()
	for seed := range uint64(50) {
		if tree(t, a.Crash(seeded(seed)), "/") != tree(t, b.Crash(seeded(seed)), "/") {
			t.Fatalf("seed %d draws two different disks", seed)
		}
	}
}

func TestOpenFilesStayWithTheOldFileSystem(t *testing.T) {
	m := NewMemory()
	f := durableFile(t, m, "/f", "text")
	lock, err := m.Lock("/lock", "the first life")
	must(t, err)
	must(t, second(f.WriteAt([]byte("Text"), 0))) // in a page that is the file's own now
	after, killed := m.CrashStrict(), m.Kill()
	_, err = f.WriteAt([]byte("TEXT"), 0)
	must(t, err)
	must(t, f.Sync())
	for name, want := range map[*Memory]string{m: "TEXT", after: "text", killed: "Text"} {
		if got := read(t, name, "/f"); got != want {
			t.Errorf("/f reads %q, want %q", got, want)
		}
	}
	for _, next := range []*Memory{after, killed} {
		g, err := next.Open("/f")
		must(t, err)
		_, err = g.WriteAt([]byte("next"), 0)
		must(t, err)
		relocked, err := next.Lock("/lock", "the second life")
		if err != nil {
			t.Errorf("the lock outlived its holder: %v", err)
		}
		must(t, relocked.Close())
	}
	if got := read(t, m, "/f"); got != "TEXT" {
		t.Errorf("the new life wrote %q into the old one", got)
	}
	must(t, lock.Close())
}

func TestAFullDiskTakesWhatFitsAndGivesRoomBack(t *testing.T) {
	m := NewMemory()
	m.SetTotal(3 * pageSize)
	f, err := m.Create("/f")
	must(t, err)
	n, err := f.WriteAt(make([]byte, 5*pageSize), 100)
	if n != 3*pageSize-100 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("WriteAt = %d, %v", n, err)
	}
	if u, _ := m.Usage("/"); u != (Usage{Total: 3 * pageSize}) {
		t.Errorf("Usage of a full disk = %+v", u)
	}
	if _, err := f.WriteAt([]byte("in place"), 0); err != nil {
		t.Errorf("an overwrite needs no room: %v", err)
	}
	must(t, f.Truncate(pageSize))
	if _, err := f.WriteAt(make([]byte, 2*pageSize), pageSize); err != nil {
		t.Errorf("after the cut there is room: %v", err)
	}
	must(t, m.Remove("/f"))
	g, err := m.Create("/g")
	must(t, err)
	if _, err := g.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a removed file that is open gave its room away: %v", err)
	}
	must(t, f.Close())
	if _, err := g.WriteAt([]byte("x"), 0); err != nil {
		t.Errorf("after the last close there is room: %v", err)
	}
	if u, _ := m.Usage("/"); u.Free != 2*pageSize {
		t.Errorf("Usage = %+v", u)
	}
	if u, _ := m.CrashStrict().Usage("/"); u.Free != 3*pageSize {
		t.Errorf("Usage after a power cut that took /g = %+v", u)
	}
	must(t, m.SyncFS("/"))
	if u, _ := m.CrashStrict().Usage("/"); u.Free != 2*pageSize {
		t.Errorf("Usage after a power cut that left /g = %+v", u)
	}
}

func TestHugeFilesThatAreHolesCostNothing(t *testing.T) {
	m := NewMemory()
	f, err := m.Create("/index")
	must(t, err)
	must(t, f.Truncate(1<<30))
	must(t, m.SyncFS("/"))
	if u, _ := m.Usage("/"); u.Free != u.Total {
		t.Errorf("Usage = %+v", u)
	}
	info, err := m.CrashStrict().Stat("/index")
	must(t, err)
	if info.Size() != 1<<30 {
		t.Errorf("Size = %d", info.Size())
	}
	if err := f.Truncate(1 << 50); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("Truncate(1<<50) = %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 1<<50); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("WriteAt(1<<50) = %v", err)
	}
}

func TestAFileNeverSyncedDoesNotGrowItsHistoryForEver(t *testing.T) {
	m := NewMemory()
	f, err := m.Create("/f")
	must(t, err)
	for range 3 * unsyncedOpsMax {
		_, err = f.WriteAt([]byte("x"), 0)
		must(t, err)
	}
	n, err := m.find("/f")
	must(t, err)
	if len(n.unsynced) > unsyncedOpsMax {
		t.Errorf("%d operations are remembered", len(n.unsynced))
	}
}

func TestBytesThatWereCutOffDoNotComeBack(t *testing.T) {
	m := NewMemory()
	f := durableFile(t, m, "/f", strings.Repeat("o", 3*pageSize))
	must(t, f.Truncate(1))
	must(t, f.Truncate(3*pageSize))
	want := "o" + strings.Repeat("\x00", 3*pageSize-1)
	if read(t, m, "/f") != want {
		t.Error("cut and extended, the file reads its old bytes")
	}
	must(t, f.Sync())
	if read(t, m.CrashStrict(), "/f") != want {
		t.Error("cut, extended and synced, a power cut brings the old bytes back")
	}

	// Unsynced data, cut off and extended again: where all of it survives, the cut does too.
	g := durableFile(t, m, "/g", "")
	must(t, second(g.WriteAt([]byte(strings.Repeat("a", 2*pageSize)), 0)))
	must(t, g.Truncate(5))
	must(t, g.Truncate(2*pageSize))
	whole := 0
	for seed := range uint64(400) {
		if read(t, m.Crash(seeded(seed)), "/g") == read(t, m, "/g") {
			whole++
		}
	}
	if whole < 60 {
		t.Errorf("only %d of 400 draws keep everything", whole)
	}
}

func TestWhatReplacesCutBytesMayBeGarbage(t *testing.T) {
	m := NewMemory()
	f := durableFile(t, m, "/f", "oooooooo")
	must(t, f.Truncate(2))
	must(t, second(f.WriteAt([]byte("nnnnnn"), 2)))
	garbage := 0
	for seed := range uint64(400) {
		got := read(t, m.Crash(seeded(seed)), "/f")
		if !strings.HasPrefix(got, "oo") {
			t.Fatalf("seed %d: %q", seed, got)
		}
		if strings.Trim(got, "on\x00") != "" {
			garbage++
		}
	}
	if garbage < 5 {
		t.Errorf("%d of 400 draws have garbage", garbage)
	}
}
