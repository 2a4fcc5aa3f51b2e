package cors

import (
	"bytes"
	"fmt"
	"sync"
)

// maxCached bounds the buckets whose rules are remembered.
const maxCached = 256

// Cache remembers what documents say, so that a request does not read them anew.
// The zero Cache is empty. It is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex
	byBucket map[string]cached
}

type cached struct {
	data   []byte
	config *Configuration
}

// Of gives the rules of a bucket whose document is data, which it keeps.
func (c *Cache) Of(bucket string, data []byte) (*Configuration, error) {
	c.mu.Lock()
	known, ok := c.byBucket[bucket]
	c.mu.Unlock()
	if ok && bytes.Equal(known.data, data) {
		return known.config, nil
	}
	config, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnknown, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byBucket == nil || len(c.byBucket) >= maxCached {
		c.byBucket = map[string]cached{}
	}
	c.byBucket[bucket] = cached{data, config}
	return config, nil
}
