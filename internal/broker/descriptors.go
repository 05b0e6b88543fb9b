package broker

// Descriptors are shared: a connection too many must be refused before it takes the one that the next segment file needs, since a file that
// cannot be opened looks like a disk that fails.

// descriptorsSpare is what everything else may have open at the same time: metadata, locks, checkpoints, the admin port.
const descriptorsSpare = 128

// takeDescriptors bounds segment files and connections by the limit of the process.
func (b *Broker) takeDescriptors(limit int) {
	n := &b.static.Broker.Network
	files, connections := int(n.OpenFilesMax), int(n.ConnectionsMax)
	b.segmentFilesMax, b.connectionsRoom = shareDescriptors(limit, files)
	if b.segmentFilesMax < files || b.connectionsRoom < connections {
		b.log.Warn("the limit of open files (ulimit -n) is lower than open.files.max and max.connections together ask for; raise it, or lower them",
			"limit", limit, "open.files.max", files, "max.connections", connections, "segment_files", b.segmentFilesMax, "connections", b.connectionsRoom)
	}
}

// shareDescriptors divides the process's limit: how many segment files may be open, at most as many as wanted, and how many connections there
// is room for besides. Where there is little, files take no more than half.
func shareDescriptors(limit, wanted int) (files, connections int) {
	room := max(limit-min(descriptorsSpare, limit/4), 2)
	files = min(wanted, room/2)
	return files, room - files
}
