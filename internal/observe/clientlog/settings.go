package clientlog

import (
	"slices"
	"strings"
)

// settingNames are the settings that decide about rebalances, or name the client they belong to.
var settingNames = []string{
	"max.poll.interval.ms", "max.poll.records", "session.timeout.ms", "heartbeat.interval.ms", "enable.auto.commit", "group.protocol",
	"group.instance.id", "partition.assignment.strategy", "request.timeout.ms", "metadata.max.age.ms", "client.id", "group.id",
}

// settings reads the block in which the Java client prints its configuration when it is made: a head line, then "\tname = value" lines. It
// answers true for lines that belong to such a block, and gives the settings when the block has ended.
func (p *parser) settings(e envelope) ([]Event, bool) {
	if strings.Contains(e.text, "ConsumerConfig values:") {
		done := p.endBlock()
		p.blockOpen, p.blockOwner = true, Event{}
		return done, true
	}
	if !p.blockOpen {
		return nil, false
	}
	name, value, ok := strings.Cut(strings.TrimSpace(e.text)+" ", " = ") // a value may be empty
	if !ok || strings.ContainsAny(name, " \t[]:") {
		return p.endBlock(), false
	}
	value = strings.TrimSpace(value)
	if slices.Contains(settingNames, name) && value != "null" && len(value) < 512 {
		switch name {
		case "client.id":
			p.blockOwner.ClientID = value
		case "group.id":
			p.blockOwner.Group = value
		case "group.instance.id":
			p.blockOwner.Instance = value
		}
		ev := newEvent(Java, SettingSeen, name+" = "+value)
		ev.Name, ev.Value = name, value
		p.block = append(p.block, p.place(ev))
	}
	return nil, true
}

// endBlock gives the settings of the block that has ended to their owner.
func (p *parser) endBlock() []Event {
	out := p.block
	for i := range out {
		out[i].ClientID, out[i].Group, out[i].Instance = p.blockOwner.ClientID, p.blockOwner.Group, p.blockOwner.Instance
	}
	p.block, p.blockOpen = nil, false
	return out
}
