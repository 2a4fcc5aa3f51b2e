// Goal: what tests of this package need to see that no answer of a set tells.
package driveset

// LogBytes is what the entries that are kept in memory take. It is not told by
// any answer of a set, and has a bound.
func (s *Set) LogBytes() int64 {
	t := s.current.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.memory
}
