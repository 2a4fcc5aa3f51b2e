package pools

import (
	"bytes"

	"github.com/sherd-storage/sherd/layout"
)

// Merge walks several cursors as one, in the order of slots. Each must stand
// before its first item. What is the same thing to a reader, as all versions of
// a key, is given from one of them only: the others saw the key when it lived
// elsewhere.
func Merge(cursors []layout.Cursor) layout.Cursor {
	if len(cursors) == 1 {
		return cursors[0]
	}
	return &merged{under: cursors, live: make([]bool, len(cursors)), at: -1}
}

type merged struct {
	under []layout.Cursor
	live  []bool // stands at an item
	at    int    // that is given now; −1 before the first and behind the last
	begun bool
	group []byte // of the item that is given
	err   error
}

func (m *merged) Next() bool {
	return m.move(func() bool { return m.under[m.at].Next() })
}

func (m *merged) NextKey() bool {
	return m.move(func() bool { return m.under[m.at].NextKey() })
}

// move makes a step of the cursor that was last given, or the first of all.
func (m *merged) move(step func() bool) bool {
	switch {
	case m.err != nil:
		return false
	case !m.begun:
		m.begun = true
		for i, c := range m.under {
			if !m.moved(i, c.Next()) {
				return false
			}
		}
	case m.at < 0:
		return false
	case !m.moved(m.at, step()):
		return false
	}
	return m.pick()
}

// moved notes whether a cursor stands at an item; false when it failed.
func (m *merged) moved(i int, stands bool) bool {
	m.live[i] = stands
	if !stands {
		m.err = m.under[i].Err()
	}
	return m.err == nil
}

// pick finds the cursor with the least item.
func (m *merged) pick() bool {
	owner := m.at
	for {
		least := -1
		for i, live := range m.live {
			if live && (least < 0 || bytes.Compare(m.under[i].Item().Slot, m.under[least].Item().Slot) < 0) {
				least = i
			}
		}
		if least < 0 {
			m.at = -1
			return false
		}
		group := layout.HistoryPrefix(m.under[least].Item().Slot)
		if m.group == nil || !bytes.Equal(group, m.group) {
			m.at, m.group = least, append(m.group[:0], group...)
			return true
		}
		if least == owner {
			m.at = least
			return true
		}
		if !m.moved(least, m.under[least].NextKey()) {
			return false
		}
	}
}

func (m *merged) Seek(slot layout.Slot) bool {
	if m.err != nil {
		return false
	}
	m.begun, m.group, m.at = true, nil, -1
	for i, c := range m.under {
		if !m.moved(i, c.Seek(slot)) {
			return false
		}
	}
	return m.pick()
}

func (m *merged) Item() layout.Item { return m.under[m.at].Item() }

func (m *merged) Err() error { return m.err }

func (m *merged) Close() error {
	var err error
	for _, c := range m.under {
		if e := c.Close(); err == nil {
			err = e
		}
	}
	return err
}
