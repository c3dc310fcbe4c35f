package router

// Sessions counts the connections that the package knows of.
func Sessions() int {
	n := 0
	sessions.Range(func(any, any) bool { n++; return true })
	return n
}
