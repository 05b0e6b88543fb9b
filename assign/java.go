package assign

func (c *classic) javaSticky(cl *claims) []int32 { return c.solve() }
