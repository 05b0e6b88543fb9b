package assign

// dialect is how a protocol says who has which partitions: by topic name in the classic one (classic), by topic id in KIP-848
// (identified). E is an entry of such a list, a topic with some of its partitions. What is decided does not depend on it, and is written
// once for both.
//
// Lists can be long, and most rebalances change few of them. Therefore the one loop that touches every entry of every list, follow, is
// each dialect's own, and everything else is asked once per list, or for the few entries that matter.
type dialect[E any] interface {
	// claimed is what member m says to hold, and generation says since when. keep answers the same as claimed, and gives it to the member,
	// until set says otherwise.
	claimed(m int32) []E
	generation(m int32) int32
	keep(m int32) []E
	// follow is how many topics two lists have in common at their beginning. For each of these it notes single(partitions) of the
	// entry in list.
	follow(list, before []E, singles []int32) int
	// find is the number of an entry's topic, or none. It is quick when that is hint, or one of the next few.
	find(e *E, hint int32) int32
	// is says whether e's topic is t.
	is(e *E, t int32) bool
	indexes(e *E) []int32
	// fill makes entries: of topic[i], with the partitions in flat from where the entry before ends to end[i].
	fill(list []E, topic, end, flat []int32)
	// set says what member m gets.
	set(m int32, list []E)
}
