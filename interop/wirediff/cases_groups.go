package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The cases of the group coordinator. Each makes groups of its own, named after the case and the version, so that none sees what another left.

func groupCases(l *list) {
	joinCases(l)
	syncCases(l)
	heartbeatCases(l)
	leaveCases(l)
	commitCases(l)
	offsetFetchCases(l)
	offsetDeleteCases(l)
	groupAdminCases(l)
}

func joinCases(l *list) {
	key := kmsg.JoinGroup
	// joining sends a join at the case's version, and a second one if the first brought only an id.
	joining := func(s *seat, q *kmsg.JoinGroupRequest) {
		resp := s.r.do(q)
		s.took(resp)
		if j, ok := resp.(*kmsg.JoinGroupResponse); ok && j.ErrorCode == 79 {
			q.MemberID = s.id
			s.took(s.r.do(q))
		}
	}
	l.add(key, "every field: a first member", func(r *run) {
		s := sit(r, "join-first")
		q := s.joinRequest()
		q.UnknownTags.Set(9999, []byte("skip me"))
		joining(s, q)
		r.do(s.heartbeatRequest())
	})
	l.from(key, 5, "every field: a static member, and again", func(r *run) {
		s := sit(r, "join-static")
		s.instance = kmsg.StringPtr("seat-1")
		joining(s, s.joinRequest())
		r.quiet(s.syncRequest("assignment"))
		s.id = ""
		joining(s, s.joinRequest())
		r.do(s.heartbeatRequest())
	})
	l.from(key, 5, "a static member twice: the older is fenced", func(r *run) {
		s := sit(r, "join-fenced")
		s.instance = kmsg.StringPtr("seat-1")
		s.stable()
		old := s.id
		s.id = ""
		s.took(r.quiet(s.joinRequest()))
		s.id = old
		r.do(s.joinRequest())
	})
	l.from(key, 5, "an instance id that nobody has, with a member id", func(r *run) {
		s := sit(r, "join-unmapped").stable()
		s.instance = kmsg.StringPtr("nobody")
		r.do(s.joinRequest())
	})
	l.add(key, "the leader again", func(r *run) {
		s := sit(r, "join-again").stable()
		r.do(s.joinRequest())
		s.generation++
		r.do(s.heartbeatRequest())
	})
	l.add(key, "the leader again before it assigned", func(r *run) {
		s := sit(r, "join-lost").joined()
		r.do(s.joinRequest())
	})
	l.add(key, "two members", func(r *run) {
		s := sit(r, "join-two").stable()
		_, done := s.disturbed()
		defer done()
		r.do(s.joinRequest())
	})
	l.add(key, "another protocol type", func(r *run) {
		s := sit(r, "join-type").stable()
		q := s.joinRequest()
		q.MemberID, q.ProtocolType = "", "connect"
		r.do(q)
	})
	l.add(key, "no protocol in common", func(r *run) {
		s := sit(r, "join-uncommon").stable()
		s.id, s.protocols = "", []string{"sticky", "roundrobin"}
		r.do(s.joinRequest())
	})
	for name, change := range ordered(map[string]func(q *kmsg.JoinGroupRequest){
		"no group":                         func(q *kmsg.JoinGroupRequest) { q.Group = "" },
		"no group, a member id":            func(q *kmsg.JoinGroupRequest) { q.Group, q.MemberID = "", "x" },
		"no protocols":                     func(q *kmsg.JoinGroupRequest) { q.Protocols = nil },
		"no protocol type":                 func(q *kmsg.JoinGroupRequest) { q.ProtocolType = "" },
		"a session timeout that is short":  func(q *kmsg.JoinGroupRequest) { q.SessionTimeoutMillis = 5999 },
		"a session timeout that is long":   func(q *kmsg.JoinGroupRequest) { q.SessionTimeoutMillis = 1_800_001 },
		"a negative session timeout":       func(q *kmsg.JoinGroupRequest) { q.SessionTimeoutMillis = -1 },
		"an unknown member":                func(q *kmsg.JoinGroupRequest) { q.MemberID = "nobody" },
		"an unknown member, short session": func(q *kmsg.JoinGroupRequest) { q.MemberID, q.SessionTimeoutMillis = "nobody", 1 },
	}) {
		l.add(key, name, func(r *run) {
			q := sit(r, "join-wrong-"+dashed(name)).joinRequest()
			change(q)
			r.do(q)
		})
	}
	l.add(key, "an unknown member of a group that is there", func(r *run) {
		s := sit(r, "join-stranger").stable()
		s.id = "nobody"
		r.do(s.joinRequest())
	})
	l.add(key, "many protocols, some twice", func(r *run) {
		s := sit(r, "join-many")
		s.protocols = []string{"range", "sticky", "range"}
		joining(s, s.joinRequest())
	})
	l.from(key, 1, "no rebalance timeout", func(r *run) {
		s := sit(r, "join-hasty")
		q := s.joinRequest()
		q.RebalanceTimeoutMillis = 0
		joining(s, q)
	})
}

func syncCases(l *list) {
	key := kmsg.SyncGroup
	l.add(key, "every field: the leader, and again", func(r *run) {
		s := sit(r, "sync").joined()
		q := s.syncRequest("assignment")
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		r.do(s.syncRequest("another"))
	})
	l.add(key, "the leader without an assignment", func(r *run) { r.do(sit(r, "sync-none").joined().syncRequest("")) })
	l.from(key, 3, "a static member", func(r *run) {
		s := sit(r, "sync-static")
		s.instance = kmsg.StringPtr("seat-1")
		r.do(s.joined().syncRequest("assignment"))
	})
	for name, change := range ordered(map[string]func(q *kmsg.SyncGroupRequest){
		"no group":              func(q *kmsg.SyncGroupRequest) { q.Group = "" },
		"an unknown group":      func(q *kmsg.SyncGroupRequest) { q.Group = "wd-nowhere" },
		"an unknown member":     func(q *kmsg.SyncGroupRequest) { q.MemberID = "nobody" },
		"no member":             func(q *kmsg.SyncGroupRequest) { q.MemberID = "" },
		"an old generation":     func(q *kmsg.SyncGroupRequest) { q.Generation-- },
		"another protocol":      func(q *kmsg.SyncGroupRequest) { q.Protocol = kmsg.StringPtr("sticky") },
		"another protocol type": func(q *kmsg.SyncGroupRequest) { q.ProtocolType = kmsg.StringPtr("connect") },
		"no protocol":           func(q *kmsg.SyncGroupRequest) { q.Protocol = nil },
		"no protocol type":      func(q *kmsg.SyncGroupRequest) { q.ProtocolType = nil },
		"an unknown instance":   func(q *kmsg.SyncGroupRequest) { q.InstanceID = kmsg.StringPtr("nobody") },
	}) {
		l.add(key, name, func(r *run) {
			q := sit(r, "sync-wrong-"+dashed(name)).stable().syncRequest("assignment")
			change(q)
			r.do(q)
		})
	}
	l.add(key, "while members join", func(r *run) {
		s := sit(r, "sync-late").stable()
		_, done := s.disturbed()
		defer done()
		r.do(s.syncRequest("assignment"))
	})
}

func heartbeatCases(l *list) {
	key := kmsg.Heartbeat
	l.add(key, "every field", func(r *run) {
		s := sit(r, "beat").stable()
		q := s.heartbeatRequest()
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
	})
	l.from(key, 3, "a static member", func(r *run) {
		s := sit(r, "beat-static")
		s.instance = kmsg.StringPtr("seat-1")
		r.do(s.stable().heartbeatRequest())
		s.instance = kmsg.StringPtr("seat-2")
		r.do(s.heartbeatRequest())
	})
	l.add(key, "before the assignment", func(r *run) { r.do(sit(r, "beat-early").joined().heartbeatRequest()) })
	l.add(key, "an id that has not joined yet", func(r *run) {
		s := sit(r, "beat-named").named()
		s.generation = 0
		r.do(s.heartbeatRequest())
	})
	l.add(key, "while members join", func(r *run) {
		s := sit(r, "beat-join").stable()
		_, done := s.disturbed()
		defer done()
		r.do(s.heartbeatRequest())
	})
	l.add(key, "after the last has left", func(r *run) {
		s := sit(r, "beat-left").stable()
		r.quiet(s.leaveRequest(s.id))
		r.do(s.heartbeatRequest())
	})
	for name, change := range ordered(map[string]func(q *kmsg.HeartbeatRequest){
		"no group":          func(q *kmsg.HeartbeatRequest) { q.Group = "" },
		"an unknown group":  func(q *kmsg.HeartbeatRequest) { q.Group = "wd-nowhere" },
		"an unknown member": func(q *kmsg.HeartbeatRequest) { q.MemberID = "nobody" },
		"no member":         func(q *kmsg.HeartbeatRequest) { q.MemberID = "" },
		"an old generation": func(q *kmsg.HeartbeatRequest) { q.Generation-- },
		"no generation":     func(q *kmsg.HeartbeatRequest) { q.Generation = -1 },
	}) {
		l.add(key, name, func(r *run) {
			q := sit(r, "beat-wrong-"+dashed(name)).stable().heartbeatRequest()
			change(q)
			r.do(q)
		})
	}
}

func leaveCases(l *list) {
	key := kmsg.LeaveGroup
	l.add(key, "every field: a member, and again", func(r *run) {
		s := sit(r, "leave").stable()
		q := s.leaveRequest(s.id)
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		r.do(s.leaveRequest(s.id))
	})
	l.add(key, "an id that has not joined yet", func(r *run) {
		s := sit(r, "leave-named").named()
		r.do(s.leaveRequest(s.id))
	})
	l.from(key, 3, "a member and a stranger", func(r *run) {
		s := sit(r, "leave-both").stable()
		r.do(s.leaveRequest("nobody", s.id))
	})
	l.from(key, 3, "one member twice", func(r *run) {
		s := sit(r, "leave-twice").stable()
		r.do(s.leaveRequest(s.id, s.id))
	})
	l.from(key, 3, "a static member by its instance, a wrong id, an unknown instance", func(r *run) {
		s := sit(r, "leave-static")
		s.instance = kmsg.StringPtr("seat-1")
		s.stable()
		q := s.leaveRequest("nobody", "", "", "")
		q.Members[0].InstanceID = s.instance
		q.Members[1].InstanceID = kmsg.StringPtr("nobody")
		q.Members[2].InstanceID = s.instance
		r.do(q)
	})
	l.from(key, 3, "no members", func(r *run) { r.do(sit(r, "leave-none").stable().leaveRequest()) })
	l.add(key, "an unknown member", func(r *run) {
		s := sit(r, "leave-unknown").stable()
		s.id = "nobody"
		r.do(s.leaveRequest("nobody"))
	})
	l.add(key, "an unknown group", func(r *run) {
		s := sit(r, "leave-nowhere")
		s.id = "nobody"
		r.do(s.leaveRequest("nobody"))
	})
	l.add(key, "no group", func(r *run) {
		s := sit(r, "leave-nameless")
		s.id, s.group = "nobody", ""
		r.do(s.leaveRequest("nobody"))
	})
}

func commitCases(l *list) {
	key := kmsg.OffsetCommit
	text := kmsg.StringPtr
	check := func(s *seat) {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version, q.Group = 7, s.group
		s.r.do(q)
	}
	l.add(key, "every field: by a member", func(r *run) {
		s := sit(r, "commit").stable()
		q := s.commitRequest(places("wd", place(0, 5, text("five")), place(1, 7, nil)), places("wd-empty", place(0, 0, text(""))))
		q.RetentionTimeMillis = 3_600_000
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		check(s)
	})
	l.add(key, "by nobody in particular", func(r *run) {
		s := sit(r, "commit-simple")
		r.do(s.commitRequest(places("wd", place(0, 5, text("five")))))
		check(s)
	})
	l.from(key, 7, "by a static member, and by one that was replaced", func(r *run) {
		s := sit(r, "commit-static")
		s.instance = text("seat-1")
		s.stable()
		r.do(s.commitRequest(places("wd", place(0, 5, nil))))
		s.id = "somebody-else"
		r.do(s.commitRequest(places("wd", place(0, 6, nil))))
	})
	l.add(key, "offsets that cannot be", func(r *run) {
		s := sit(r, "commit-odd")
		r.do(s.commitRequest(places("wd", place(0, -1, nil), place(1, -99, nil), place(2, 1<<60, nil))))
		check(s)
	})
	l.add(key, "metadata too long, beside good", func(r *run) {
		s := sit(r, "commit-long")
		r.do(s.commitRequest(places("wd", place(0, 1, text(strings.Repeat("x", 4097))), place(1, 2, text(strings.Repeat("x", 4096))))))
		check(s)
	})
	l.add(key, "metadata of letters of two bytes", func(r *run) {
		s := sit(r, "commit-letters")
		r.do(s.commitRequest(places("wd", place(0, 1, text(strings.Repeat("é", 4096))), place(1, 2, text(strings.Repeat("é", 4097))))))
	})
	l.add(key, "partitions that do not exist, beside good", func(r *run) {
		s := sit(r, "commit-nowhere")
		r.do(s.commitRequest(places("nowhere", place(0, 1, nil)), places("wd", place(0, 1, nil), place(9, 1, nil), place(-1, 1, nil)), places("wd-empty", place(0, 1, nil))))
		check(s)
	})
	l.add(key, "only what does not exist", func(r *run) {
		s := sit(r, "commit-nothing")
		r.do(s.commitRequest(places("nowhere", place(0, 1, nil), place(1, 1, nil)), places("", place(0, 1, nil))))
	})
	l.add(key, "only what does not exist, of a generation that is not", func(r *run) {
		s := sit(r, "commit-worse")
		s.generation = 5
		r.do(s.commitRequest(places("nowhere", place(0, 1, nil))))
	})
	l.add(key, "no topics, a topic without partitions", func(r *run) {
		s := sit(r, "commit-empty")
		r.do(s.commitRequest())
		r.do(s.commitRequest(places("wd")))
		r.do(s.commitRequest(places("wd"), places("nowhere")))
	})
	l.add(key, "one partition twice", func(r *run) {
		s := sit(r, "commit-twice")
		r.do(s.commitRequest(places("wd", place(0, 1, nil), place(0, 2, nil)), places("wd", place(0, 3, nil), place(9, 3, nil))))
		check(s)
	})
	l.add(key, "a group without a name", func(r *run) {
		s := sit(r, "commit-nameless")
		s.group = ""
		coordinated(r, "")
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
	})
	l.add(key, "a generation of a group that is not there", func(r *run) {
		s := sit(r, "commit-ungrouped")
		s.generation, s.id = 5, "nobody"
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
	})
	l.add(key, "into a group with members, as nobody", func(r *run) {
		s := sit(r, "commit-into").stable()
		s.generation, s.id = -1, ""
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
	})
	l.add(key, "a stranger, an old generation, none", func(r *run) {
		s := sit(r, "commit-wrong").stable()
		for _, change := range []func(q *kmsg.OffsetCommitRequest){
			func(q *kmsg.OffsetCommitRequest) { q.MemberID = "nobody" },
			func(q *kmsg.OffsetCommitRequest) { q.Generation-- },
			func(q *kmsg.OffsetCommitRequest) { q.Generation = -1 },
			func(q *kmsg.OffsetCommitRequest) { q.MemberID = "" },
		} {
			q := s.commitRequest(places("wd", place(0, 1, nil)))
			change(q)
			r.do(q)
		}
	})
	l.add(key, "after the last member has left", func(r *run) {
		s := sit(r, "commit-left").stable()
		r.quiet(s.leaveRequest(s.id))
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
		s.generation = -1
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
	})
	l.add(key, "while members join, and before they are assigned", func(r *run) {
		s := sit(r, "commit-join").stable()
		_, done := s.disturbed()
		defer done()
		r.do(s.commitRequest(places("wd", place(0, 1, nil))))
		s.took(r.quiet(s.joinRequest()))
		r.do(s.commitRequest(places("wd", place(0, 2, nil))))
	})
}

func offsetFetchCases(l *list) {
	key := kmsg.OffsetFetch
	type topics = []kmsg.OffsetFetchRequestTopic
	topic := func(name string, ps ...int32) kmsg.OffsetFetchRequestTopic {
		return kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: ps}
	}
	// ask is for one group, whatever the version.
	ask := func(r *run, group string, ts topics) *kmsg.OffsetFetchRequest {
		q := kmsg.NewPtrOffsetFetchRequest()
		if r.v < 8 {
			q.Group, q.Topics = group, ts
			return q
		}
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = group, -1
		if ts != nil {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for _, t := range ts {
			g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
		}
		q.Groups = append(q.Groups, g)
		return q
	}
	l.add(key, "every field: committed, not committed, nowhere", func(r *run) {
		s := sit(r, "fetch").committed()
		q := ask(r, s.group, topics{topic("wd", 0, 1, 2, 9), topic("nowhere", 0), topic("wd-empty")})
		q.RequireStable = true
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
	})
	l.from(key, 2, "everything", func(r *run) { r.do(ask(r, sit(r, "fetch-all").committed().group, nil)) })
	l.add(key, "an empty list", func(r *run) { r.do(ask(r, sit(r, "fetch-none").committed().group, topics{})) })
	l.add(key, "a group that is not there", func(r *run) { r.do(ask(r, sit(r, "fetch-nowhere").group, topics{topic("wd", 0)})) })
	l.from(key, 2, "everything of a group that is not there", func(r *run) { r.do(ask(r, sit(r, "fetch-naught").group, nil)) })
	l.add(key, "a group without a name", func(r *run) {
		coordinated(r, "")
		r.do(ask(r, "", topics{topic("wd-empty", 0)}))
	})
	l.add(key, "a group with members", func(r *run) { r.do(ask(r, sit(r, "fetch-live").stable().group, topics{topic("wd", 0)})) })
	l.add(key, "one partition twice", func(r *run) { r.do(ask(r, sit(r, "fetch-twice").committed().group, topics{topic("wd", 0, 0, 1)})) })
	l.from(key, 8, "several groups", func(r *run) {
		s, empty := sit(r, "fetch-several").committed(), sit(r, "fetch-severe")
		q := ask(r, s.group, nil)
		q.Groups = append(q.Groups, ask(r, empty.group, topics{topic("wd", 0)}).Groups[0], ask(r, "", nil).Groups[0])
		r.do(q)
	})
	l.from(key, 8, "no groups", func(r *run) { r.do(kmsg.NewPtrOffsetFetchRequest()) })
	l.from(key, 9, "as a member of a classic group", func(r *run) {
		s := sit(r, "fetch-member").stable()
		q := ask(r, s.group, nil)
		q.Groups[0].MemberID, q.Groups[0].MemberEpoch = kmsg.StringPtr("nobody"), 77
		r.do(q)
	})
	l.from(key, 9, "as a member of no group", func(r *run) {
		q := ask(r, sit(r, "fetch-alien").group, topics{topic("wd", 0)})
		q.Groups[0].MemberID, q.Groups[0].MemberEpoch = kmsg.StringPtr("nobody"), 77
		r.do(q)
	})
}

func offsetDeleteCases(l *list) {
	key := kmsg.OffsetDelete
	ask := func(group string, topic string, ps ...int32) *kmsg.OffsetDeleteRequest {
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = group
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic = topic
		for _, p := range ps {
			t.Partitions = append(t.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
		}
		q.Topics = append(q.Topics, t)
		return q
	}
	l.add(key, "every field: committed, not committed, no such partition", func(r *run) {
		s := sit(r, "undo").committed()
		r.do(ask(s.group, "wd", 0, 2, 9))
		r.do(ask(s.group, "wd", 0, 1))
	})
	l.add(key, "an unknown topic", func(r *run) { r.do(ask(sit(r, "undo-topic").committed().group, "nowhere", 0)) })
	l.add(key, "an unknown topic of an unknown group", func(r *run) { r.do(ask(sit(r, "undo-both").group, "nowhere", 0)) })
	l.add(key, "an unknown group", func(r *run) { r.do(ask(sit(r, "undo-group").group, "wd", 0, 9)) })
	l.add(key, "no group", func(r *run) { r.do(ask("", "wd", 0)) })
	l.add(key, "no topics", func(r *run) {
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = sit(r, "undo-none").committed().group
		r.do(q)
		q.Group = sit(r, "undo-nobody").group
		r.do(q)
	})
	l.add(key, "a subscribed topic and another", func(r *run) {
		s := sit(r, "undo-live").stable()
		r.do(ask(s.group, "wd", 0, 9))
		r.do(ask(s.group, "wd-empty", 0))
	})
	l.add(key, "members of another kind", func(r *run) {
		s := sit(r, "undo-connect")
		q := s.joinRequest()
		q.ProtocolType = "connect"
		s.took(r.quiet(q))
		q.MemberID = s.id
		s.took(r.quiet(q))
		r.do(ask(s.group, "wd", 0))
	})
	l.add(key, "one partition twice", func(r *run) { r.do(ask(sit(r, "undo-twice").committed().group, "wd", 0, 0)) })
}

func groupAdminCases(l *list) {
	describe := func(groups ...string) *kmsg.DescribeGroupsRequest {
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Groups = groups
		return q
	}
	l.add(kmsg.DescribeGroups, "every field: stable, simple, not there", func(r *run) {
		s, simple, none := sit(r, "tell").stable(), sit(r, "tell-simple").committed(), sit(r, "tell-none")
		q := describe(s.group, simple.group, none.group)
		q.IncludeAuthorizedOperations = true
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
	})
	l.add(kmsg.DescribeGroups, "a static member", func(r *run) {
		s := sit(r, "tell-static")
		s.instance = kmsg.StringPtr("seat-1")
		r.do(describe(s.stable().group))
	})
	l.add(kmsg.DescribeGroups, "before the assignment", func(r *run) { r.do(describe(sit(r, "tell-early").joined().group)) })
	l.add(kmsg.DescribeGroups, "an id was given, nobody joined", func(r *run) {
		s := sit(r, "tell-named").named()
		// Apache Kafka gives the id a moment before it knows that the group is in its log.
		r.await(func() kmsg.Request { q := describe(s.group); q.Version = 6; return q },
			func(resp kmsg.Response) bool { return resp.(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode == 0 })
		r.do(describe(s.group))
	})
	l.add(kmsg.DescribeGroups, "while members join", func(r *run) {
		s := sit(r, "tell-join").stable()
		_, done := s.disturbed()
		defer done()
		r.do(describe(s.group))
	})
	l.add(kmsg.DescribeGroups, "after the last has left", func(r *run) {
		s := sit(r, "tell-left").stable()
		r.quiet(s.leaveRequest(s.id))
		r.do(describe(s.group))
	})
	l.add(kmsg.DescribeGroups, "without a name", func(r *run) { coordinated(r, ""); r.do(describe("")) })
	l.add(kmsg.DescribeGroups, "no groups", one(func(r *run) kmsg.Request { return describe() }))
	l.add(kmsg.DescribeGroups, "one group twice", func(r *run) { g := sit(r, "tell-twice").committed().group; r.do(describe(g, g)) })

	// The whole list is the same for both brokers, since both were asked the same.
	l.add(kmsg.ListGroups, "every field: stable ones", func(r *run) {
		sit(r, "list").stable()
		q := kmsg.NewPtrListGroupsRequest()
		q.StatesFilter, q.TypesFilter = []string{"sTable"}, []string{"Classic"}
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
	})
	for name, filter := range ordered(map[string]struct{ states, types []string }{
		"empty ones":     {[]string{"Empty"}, nil},
		"an odd state":   {[]string{"Perplexed"}, nil},
		"dead ones":      {[]string{"Dead"}, nil},
		"consumer ones":  {nil, []string{"consumer"}},
		"an odd type":    {nil, []string{"odd"}},
		"a state twice":  {[]string{"Empty", "empty"}, nil},
		"several states": {[]string{"Empty", "Stable"}, []string{"classic", "consumer"}},
	}) {
		l.from(kmsg.ListGroups, 4, name, one(func(r *run) kmsg.Request {
			q := kmsg.NewPtrListGroupsRequest()
			q.StatesFilter, q.TypesFilter = filter.states, filter.types
			return q
		}))
	}

	drop := func(groups ...string) *kmsg.DeleteGroupsRequest {
		q := kmsg.NewPtrDeleteGroupsRequest()
		q.Groups = groups
		return q
	}
	l.add(kmsg.DeleteGroups, "every field: simple, left, live, not there, and again", func(r *run) {
		simple, left, live, none := sit(r, "drop-simple").committed(), sit(r, "drop-left").stable(), sit(r, "drop-live").stable(), sit(r, "drop-none")
		r.quiet(left.leaveRequest(left.id))
		q := drop(simple.group, left.group, live.group, none.group)
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		r.do(drop(simple.group, left.group))
	})
	l.add(kmsg.DeleteGroups, "one group twice", func(r *run) { g := sit(r, "drop-twice").committed().group; r.do(drop(g, g)) })
	l.add(kmsg.DeleteGroups, "without a name", func(r *run) { coordinated(r, ""); r.do(drop("")) })
	l.add(kmsg.DeleteGroups, "no groups", one(func(r *run) kmsg.Request { return drop() }))
	l.add(kmsg.DeleteGroups, "an id was given, nobody joined", func(r *run) { r.do(drop(sit(r, "drop-named").named().group)) })
}
