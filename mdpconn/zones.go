package mdpconn

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// zones are the interfaces of this host, by which addresses of IPv6 tell to which
// of them they belong: netip by name, the system by number. They are read from the
// system when one is asked for, every 5 s at most. The zero value is ready; all
// methods may be called concurrently.
type zones struct {
	mu     sync.Mutex
	readAt time.Time
	ids    map[string]uint32
	names  map[uint32]string
}

// id gives the number of an interface, 0 for no name. One that is not there may be
// named by its number.
func (z *zones) id(name string) uint32 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.readLocked()
	if id, ok := z.ids[name]; ok {
		return id
	}
	id, _ := strconv.ParseUint(name, 10, 32)
	return uint32(id)
}

// name gives the name of an interface, or its number if it is not there.
func (z *zones) name(id uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.readLocked()
	if name, ok := z.names[id]; ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

func (z *zones) readLocked() {
	now := time.Now()
	if !z.readAt.IsZero() && now.Sub(z.readAt) < interfacesEvery {
		return
	}
	z.readAt = now
	interfaces, err := net.Interfaces()
	if err != nil {
		return // what was read before holds
	}
	z.ids, z.names = make(map[string]uint32), make(map[uint32]string)
	for _, i := range interfaces {
		z.ids[i.Name], z.names[uint32(i.Index)] = uint32(i.Index), i.Name
	}
}
