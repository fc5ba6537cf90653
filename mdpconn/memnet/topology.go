package memnet

// Connect makes two links hear each other, in a network that began Unconnected
// or after Cut. A partition still stands between them, if there is one.
func (n *Network) Connect(a, b *Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connectLocked(a, b)
}

// Chain connects each link with the next.
func (n *Network) Chain(links ...*Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := 1; i < len(links); i++ {
		n.connectLocked(links[i-1], links[i])
	}
}

// connectLocked connects two links.
func (n *Network) connectLocked(a, b *Link) {
	for _, d := range n.bothLocked(a, b) {
		d.connected, d.cut = true, false
	}
}

// Cut makes two links deaf to each other, until Connect or Heal. Packets under
// way still arrive.
func (n *Network) Cut(a, b *Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.bothLocked(a, b) {
		d.cut = true
	}
}

// CutOneWay makes to deaf to from, until Connect or Heal; from still hears to.
func (n *Network) CutOneWay(from, to *Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.directionLocked(from, to).cut = true
}

// Partition divides the links into groups that do not hear each other, until
// the next Partition or Heal. The links that are in no group, and those still
// to come, are one more group. Packets under way still arrive.
func (n *Network) Partition(groups ...[]*Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joinLocked()
	for i, g := range groups {
		for _, l := range g {
			l.group = i + 1
		}
	}
}

// Heal undoes Partition and every Cut. It does not connect what never was.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joinLocked()
	for _, l := range n.links {
		for _, d := range l.out {
			d.cut = false
		}
	}
}

// joinLocked ends a partition.
func (n *Network) joinLocked() {
	for _, l := range n.links {
		l.group = 0
	}
}

// bothLocked gives both directions between two links.
func (n *Network) bothLocked(a, b *Link) [2]*direction {
	return [2]*direction{n.directionLocked(a, b), n.directionLocked(b, a)}
}

// hearsLocked reports whether what from sends can reach to. A link always hears
// itself.
func (n *Network) hearsLocked(from, to *Link) bool {
	if from == to {
		return true
	}
	if from.group != to.group {
		return false
	}
	d := from.out[to]
	if d == nil {
		return !n.config.Unconnected
	}
	return !d.cut && (d.connected || !n.config.Unconnected)
}
