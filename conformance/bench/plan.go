package main

import "time"

// A workload is one table: what the two ends do, and for how long at most.
type workload struct {
	name    string
	title   string
	job     string   // of the client; "" for two pairs side by side (beside.go)
	args    []string // of the client
	mode    string   // of the server: "raw" or "http"
	timeout time.Duration
}

// rival is whom the workload "beside" puts beside each transport.
const rival = "tcp-cubic"

func bulkLoad(name, title string, args ...string) workload {
	return workload{name, title, "bulk", args, "raw", time.Minute}
}

// plan returns the workloads of a link, in the order of its tables.
func plan(link string) []workload {
	switch link {
	case loopback:
		return loopbackPlan
	case "radio":
		return radioPlan
	case "clean":
		return linkPlan
	case "deep":
		return []workload{{"added", "round trip beside a bulk stream of the same kind", "added", []string{"--n=100", "--size=100000000000"}, "raw", time.Minute}}
	case "lan", "reorder":
		return linkPlan[:1]
	case "loss1":
		return linkPlan[:5]
	}
	return linkPlan[:3]
}

var loopbackPlan = []workload{
	bulkLoad("bulk", "bulk, one stream", "--size=268435456", "--cap=6s"),
	bulkLoad("streams8", "bulk, 8 connections at once", "--size=268435456", "--streams=8", "--cap=6s"),
	{"pingpong", "ping-pong, 64 bytes each way", "pingpong", []string{"--n=5000", "--cap=10s"}, "raw", time.Minute},
	{"connect", "connect and first reply byte", "connect", []string{"--n=200", "--cap=10s"}, "raw", time.Minute},
	{"http1k", "HTTP GET of 1 KB, one after the other", "http1k", []string{"--n=3000", "--cap=10s"}, "http", time.Minute},
	{"http1m", "HTTP GET of 1 MB, one after the other", "http1m", []string{"--n=100", "--cap=10s"}, "http", time.Minute},
	{"idle1000", "1,000 idle connections, keep-alives running", "idle", []string{"--n=1000", "--workers=16", "--cap=60s"}, "raw", 2 * time.Minute},
	{"idle10000", "10,000 idle connections, keep-alives running", "idle", []string{"--n=10000", "--workers=16", "--cap=100s"}, "raw", 3 * time.Minute},
	bulkLoad("active1", "512 MB over 1 active stream", "--size=512000000", "--streams=1", "--cap=20s"),
	bulkLoad("active10", "512 MB over 10 active streams", "--size=512000000", "--streams=10", "--cap=20s"),
	bulkLoad("active100", "512 MB over 100 active streams", "--size=512000000", "--streams=100", "--cap=20s"),
	bulkLoad("active1000", "512 MB over 1,000 active streams", "--size=512000000", "--streams=1000", "--cap=20s"),
}

var linkPlan = []workload{
	bulkLoad("bulk", "bulk, one stream", "--size=25000000", "--cap=5s"),
	{"pingpong", "ping-pong, 64 bytes each way, 10 connections", "pingpong", []string{"--n=50", "--workers=10", "--cap=8s"}, "raw", time.Minute},
	{"connect", "connect and first reply byte, 10 at once", "connect", []string{"--n=100", "--workers=10", "--cap=8s"}, "raw", time.Minute},
	{"http1k", "HTTP GET of 1 KB, one after the other", "http1k", []string{"--n=60", "--cap=6s"}, "http", time.Minute},
	{"http1m", "HTTP GET of 1 MB, one after the other", "http1m", []string{"--n=8", "--cap=5s"}, "http", time.Minute},
	bulkLoad("streams8", "bulk, 8 connections at once", "--size=50000000", "--streams=8", "--cap=8s"),
	{"beside", "one bulk stream beside one of " + rival, "", nil, "raw", time.Minute},
}

var radioPlan = []workload{
	bulkLoad("bulk", "bulk, one stream", "--size=500000", "--cap=45s"),
	{"pingpong", "ping-pong, 64 bytes each way, 4 connections", "pingpong", []string{"--n=15", "--workers=4", "--cap=25s"}, "raw", time.Minute},
	{"connect", "connect and first reply byte, 2 at once", "connect", []string{"--n=20", "--workers=2", "--cap=30s"}, "raw", time.Minute},
}

// workloadNames are all names, in the order of the tables.
func workloadNames() []string {
	var names []string
	seen := make(map[string]bool)
	for _, link := range linkNames() {
		for _, w := range plan(link) {
			if !seen[w.name] {
				names = append(names, w.name)
				seen[w.name] = true
			}
		}
	}
	return names
}
