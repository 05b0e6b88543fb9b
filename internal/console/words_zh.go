package console

import "github.com/barnabas-mq/barnabas/internal/journal"

// chinese is the other language, by the English text. A test finds keys that are used and missing, and those that are not used.
var chinese = map[string]string{
	// around every page
	"Groups": "消费组", "Topics": "主题", "Skip to content": "跳到正文", "Language": "语言", "Sections": "栏目",
	"live": "实时", "paused": "已暂停", "offline": "已断开", "Pause live updates": "暂停实时更新", "Resume live updates": "恢复实时更新",
	"Times are UTC.": "时间均为 UTC。", "Keyboard": "键盘", "Read only: nothing here changes the broker.": "只读：此处的任何操作都不会更改代理。",
	"search": "搜索", "next control": "下一个控件", "on the timeline: earlier, later": "在时间线上：更早、更晚", "on the timeline: closer, farther": "在时间线上：放大、缩小",
	"Pages": "分页", "previous": "上一页", "next": "下一页", "older": "更早", "newest": "最新",
	"%d s ago": "%d 秒前", "%d min ago": "%d 分钟前", "%d h ago": "%d 小时前", "%d d ago": "%d 天前",
	// groups
	"Search by name": "按名称搜索", "State": "状态", "any state": "任意状态", "Sort by": "排序", "name": "名称", "lag": "积压", "members": "成员", "unstable": "不稳定",
	"last rebalance": "最近再均衡", "Show": "显示", "Group": "消费组", "Members": "成员", "Lag": "积压", "Unstable, 1 h": "不稳定，1 小时", "Rebalances, 1 h": "再均衡，1 小时",
	"Last rebalance": "最近再均衡", "%s group": "%s 个消费组", "%s groups": "%s 个消费组", "%d rebalancing": "%d 个正在再均衡", "%s record of lag": "积压 %s 条记录", "%s records of lag": "积压 %s 条记录",
	"No group yet. A group appears when its first consumer joins or commits.": "还没有消费组。第一个消费者加入或提交后即会出现。",
	"No group fits.": "没有符合条件的消费组。", "%s to %s of %s": "第 %s 至 %s 项，共 %s 项",
	"share of the last hour in which the group was rebalancing": "最近一小时内消费组处于再均衡的时间占比",
	// a group
	"Protocol": "协议", "Generation": "世代", "Timeline": "时间线", "Incidents": "事件", "Advice": "建议", "Partitions": "分区", "Earlier": "更早", "Later": "更晚", "Closer": "放大", "Farther": "缩小", "Time shown": "显示时段",
	"Member": "成员", "Assigned": "已分配", "Topic": "主题", "Partition": "分区", "Committed": "已提交",
	"Log end": "日志末尾", "nobody": "无", "none": "无", "The group has no members now.": "该消费组目前没有成员。", "No committed offsets and no assigned partitions.": "没有已提交的位移，也没有已分配的分区。",
	"%s record of this journal was lost: it could not be written, as the broker's log says. A rebalance may be missing here, or its end.":     "该日志丢失了 %s 条记录：未能写入，详见服务器日志。这里可能缺少某次再均衡，或缺少其结尾。",
	"%s records of this journal were lost: they could not be written, as the broker's log says. A rebalance may be missing here, or its end.": "该日志丢失了 %s 条记录：未能写入，详见服务器日志。这里可能缺少某次再均衡，或缺少其结尾。",
	"%s note of the coordinator found no room in the journal: of a rebalance at that time there may be no record.":                            "协调者的 %s 条记事未能放入日志：当时的再均衡可能没有记录。",
	"%s notes of the coordinator found no room in the journal: of rebalances at that time there may be no record.":                            "协调者的 %s 条记事未能放入日志：当时的再均衡可能没有记录。",
	"No rebalance is recorded in this time.": "此时段没有再均衡记录。", "No rebalance of this group is recorded.": "没有该消费组的再均衡记录。", "Nothing to advise: no recorded rebalance asks for a change.": "没有建议：已记录的再均衡无需任何更改。",
	"Timeline of %s from %s to %s: members as lanes, partitions as ribbons, rebalances shaded":            "%s 从 %s 到 %s 的时间线：成员为泳道，分区为色带，再均衡为阴影",
	"There are older incidents than this picture can hold, where it is hatched; come closer to see them.": "更早的事件超出本图容量，以斜线表示；放大即可看到。", "older incidents, not drawn": "更早的事件，未绘制",
	"%d lanes are drawn as %d: members of one client id share a lane.":           "%d 条泳道合并为 %d 条：同一 client id 的成员共用一条。",
	"%d ribbons are summed up: a lane's height is the number of its partitions.": "%d 条色带已汇总：泳道高度表示其分区数。",
	"%d partitions from %s to %s":                                                "%d 个分区从 %s 移至 %s", "%d other members": "其他 %d 个成员",
	"Timeline: arrow keys move through time, plus and minus zoom, drag to zoom in": "时间线：方向键移动时间，加减键缩放，拖动以放大",
	"gathering": "集结", "noticing": "察觉", "drain": "收尾", "assign": "分配", "sync": "同步", "last to arrive": "最后到达",
	"learned of it": "得知", "rejoined": "重新加入", "has its assignment": "得到分配",
	"learned": "得知", "assigned": "得到分配", "wanted": "计划内", "churn": "变动", "failure": "故障", "not known": "未知",
	"Legend": "图例", "phases": "阶段", "causes": "原因",
	// incidents
	"by %s": "由 %s 引起", "took %s": "耗时 %s", "under way": "进行中", "%d of %d partitions moved": "%d / %d 个分区移动", ", ": "，",
	"Show on the timeline": "在时间线上显示", "All facts": "全部事实", "Story": "经过", "Evidence": "证据", "What is missing to be sure": "尚缺的信息", "What to change": "如何更改",
	"Phases": "阶段", "Chain of events": "事件链", "Cost": "代价", "provisional": "暂定", "may change until %s": "在 %s 之前可能更改", "fits as well": "同样符合",
	"measured": "已测量", "inferred": "推断", "consistent-with": "相符", "unknown": "未知",
	"absorbed": "已吸收", "refused": "被拒绝", "client's reason": "客户端给出的原因", "ended by timeout": "因超时结束",
	"Change": "变化", "Had": "之前", "Has": "之后", "Gained": "获得", "Lost": "失去", "leader": "组长",
	"stayed": "留下", "joined": "加入", "gone": "离开", "replaced": "替换", "passed": "短暂停留",
	"From": "从", "To": "到", "Stall": "停顿", "Uncommitted": "未提交", "Lag before": "之前积压", "Lag after": "之后积压",
	"longest stall": "最长停顿", "records that may be read twice": "可能被重复读取的记录", "partitions moved": "移动的分区", "least possible": "最少可能", "partitions paused": "暂停的分区",
	"members before and after": "前后成员数", "generation": "世代", "took": "耗时", "The record was too large and was cut: %d members, %d partitions, %d lists left out.": "记录过大，已截断：省略 %d 个成员、%d 个分区、%d 个列表。",
	"%s more is not shown": "另有 %s 项未显示", "%s more are not shown": "另有 %s 项未显示", "What is older, if anything is, the journal has:": "更早的记录（如有）在日志中：", "crash": "崩溃", "pause": "暂停", "fetching": "仍在拉取", "together": "同时", "everybody": "全部",
	"needs": "需要", "repeated %s time": "重复 %s 次", "repeated %s times": "重复 %s 次",
	"a member joined": "成员加入", "a member left": "成员离开", "a member was removed": "成员被移除", "a member's session ended": "成员会话到期", "a member had not rejoined in time": "成员未及时重新加入",
	"an assignment was not asked for in time": "分配未被及时领取", "the leader joined again": "组长重新加入", "a member joined with something else than before": "成员以不同的内容重新加入",
	"a static member came back": "静态成员返回", "the coordinator read the group from its log": "协调者从日志读回消费组", "a limit was reached": "达到限制", "a request was refused": "请求被拒绝",
	"offsets expired": "位移过期", "the group was deleted": "消费组被删除", "another state was seen": "观察到另一状态", "round %d": "第 %d 轮",
	// topics
	"%s topic": "%s 个主题", "%s topics": "%s 个主题", "Records": "记录", "Size": "大小", "In": "写入", "Out": "读出", "Records in": "写入记录", "with internal topics": "包括内部主题", "internal": "内部", "partitions": "分区", "records": "记录", "size": "大小",
	"in": "写入", "No topic yet.": "还没有主题。", "No topic fits.": "没有符合条件的主题。", "Leader": "主副本", "Log start": "日志起点", "Read by": "读取者", "no group": "没有消费组",
	"%d without a leader": "%d 个没有主副本", "rates over the last seconds": "最近数秒的速率",
	// errors
	"Not found": "未找到", "There is no group of this name here, and the journal knows none.": "此处没有该名称的消费组，日志中也没有。", "There is no topic of this name.": "没有该名称的主题。",
	"There is no such incident; the journal keeps them for a limited time.": "没有该事件；日志仅保留一段时间。", "There is no such page.": "没有该页面。",
	"Not ready": "尚未就绪", "The broker is starting, or shutting down. This page tries again by itself.": "代理正在启动或关闭。本页会自动重试。",
	"Something failed": "出错了", "The broker could not answer in time. Try again; its log says more.": "代理未能及时响应。请重试；其日志有更多信息。", "Try again": "重试",
}

var chineseCauses = map[journal.Cause]string{
	journal.Unknown: "未知", journal.FirstStart: "首次启动", journal.ScaleUp: "新增成员", journal.RollingRestart: "成员重启", journal.GracefulClose: "成员正常关闭",
	journal.Unsubscribed: "成员取消订阅", journal.SessionTimeout: "成员失联", journal.PollInterval: "单批处理超过 max.poll.interval.ms", journal.LateToRejoin: "成员未及时重新加入",
	journal.LateToSync: "未及时提交或领取分配", journal.StaticReturned: "静态成员返回", journal.InstanceFenced: "两个客户端使用同一 group.instance.id",
	journal.SubscriptionChange: "成员更改订阅", journal.PartitionCount: "主题增加分区", journal.TopicSet: "主题新增或删除", journal.AssignorChange: "成员更换分配器",
	journal.LeaderRejoin: "组长要求再均衡", journal.CoordinatorMoved: "协调者迁移或重启", journal.CooperativeRound: "协作式再均衡第二轮", journal.FailedRebalance: "再均衡失败后重试",
	journal.RejectedCommit: "提交被拒后重新加入", journal.AdminRemoval: "管理员移除成员", journal.BrokerPolicy: "代理的限制", journal.ProtocolMigration: "消费组更换协议",
}
