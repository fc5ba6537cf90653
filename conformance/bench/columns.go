package main

import "strings"

// A column is one metric of a workload's table.
type column struct {
	head   string
	metric string
	scale  float64 // what the table shows is the metric times this
	spread bool    // with the lowest and highest
}

// columns are those of a workload's table on a link.
func columns(link, workload string) []column {
	latency := func(unit string, scale float64) []column {
		return []column{{"p50 " + unit, "p50_us", scale, true}, {"p99 " + unit, "p99_us", scale, true}, {"max " + unit, "max_us", scale, false}}
	}
	unit, scale := "ms", 1e-3
	if link == loopback && workload != "connect" {
		unit, scale = "µs", 1
	}
	switch {
	case workload == "pingpong":
		return append(latency(unit, scale), column{"rounds/s", "rounds_per_s", 1, false})
	case workload == "connect":
		return append(latency(unit, scale), column{"failed dials", "failed", 1, false})
	case strings.HasPrefix(workload, "http"):
		return append([]column{{"requests/s", "req_per_s", 1, true}}, append(latency(unit, scale), column{"MB/s", "mb_per_s", 1, false})...)
	case strings.HasPrefix(workload, "idle"):
		return idleColumns
	case workload == "beside":
		return []column{{"Mbit/s", "mbit_per_s", 1, true}, {rival + " Mbit/s", "rival_mbit_per_s", 1, true}, {"share of the smaller", "smaller_share", 1, false}}
	case workload == "added":
		return []column{{"added, in base round trips", "added_rtt", 1, true}, {"p50 ms alone", "base_us", 1e-3, false}, {"p50 ms beside", "p50_us", 1e-3, false}, {"p99 ms beside", "p99_us", 1e-3, false}, {"bulk Mbit/s", "mbit_per_s", 1, false}}
	}
	return bulkColumns(link, workload)
}

func bulkColumns(link, workload string) []column {
	cols := []column{{"Mbit/s", "mbit_per_s", 1, true}}
	if link == loopback {
		cols = []column{{"MB/s", "mb_per_s", 1, true}}
	}
	cols = append(cols, column{"CPU s/GB", "cpu_s_per_gb", 1, true}, column{"sending", "cpu_send_s_per_gb", 1, false}, column{"receiving", "cpu_receive_s_per_gb", 1, false})
	if link != loopback {
		cols = append(cols, column{"IP bytes per byte", "wire_per_byte", 1, false})
	}
	if workload != "bulk" && workload != "active1" {
		cols = append(cols, column{"Jain index", "jain", 1, false})
	}
	return append(cols, column{"peak RSS MB sending", "rss_client", 1e-6, false}, column{"receiving", "rss_server", 1e-6, false})
}

var idleColumns = []column{
	{"client KB/conn", "rss_per_conn", 1e-3, true}, {"server KB/conn", "server_rss_per_conn", 1e-3, true},
	{"client goroutines/conn", "goroutines_per_conn", 1, false}, {"server goroutines/conn", "server_goroutines_per_conn", 1, false},
	{"client % of a core", "idle_cpu", 100, false}, {"server % of a core", "server_idle_cpu", 100, false},
	{"s to open all", "open_seconds", 1, false}, {"failed", "failed", 1, false},
}
