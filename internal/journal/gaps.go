package journal

// Gaps is how much of the journal is missing, as far as these incidents of a group tell: records that could not be written, and notes that no record was
// made of. What the last records of all were lost with is not known until the next one is written.
func Gaps(incidents []Incident) (records, notes int64) {
	most := map[Time]JournalLost{} // each start of a broker counts from nothing
	for _, inc := range incidents {
		if l := inc.JournalLost; l != nil {
			m := most[l.Since]
			most[l.Since] = JournalLost{Records: max(m.Records, l.Records), Notes: max(m.Notes, l.Notes)}
		}
	}
	for _, l := range most { // any order: added up
		records += max(l.Records, 0)
		notes += max(l.Notes, 0)
	}
	return records, notes
}
