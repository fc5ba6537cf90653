// Command bench measures streams of this module beside those that a user would
// pick instead, in one run on one machine. README.md tells how, and what each
// column means.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "bench", Short: "Measure transports side by side", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(runCommand(), tablesCommand(), plotCommand(), goalsCommand(), listCommand(), linkCommand(), serverCommand(), clientCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{Use: "run", Short: "Measure, and append JSON lines to a file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o, os.Stderr) }}
	o.flags(cmd.Flags())
	return cmd
}

func tablesCommand() *cobra.Command {
	return &cobra.Command{Use: "tables FILE...", Short: "Print the results as markdown tables", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			rs, err := readRecords(names)
			if err == nil {
				writeTables(os.Stdout, rs)
			}
			return err
		}}
}

func plotCommand() *cobra.Command {
	var dir, format string
	cmd := &cobra.Command{Use: "plot FILE...", Short: "Draw the results", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			if format != "png" && format != "svg" {
				return fmt.Errorf("format %q is not known; want png or svg", format)
			}
			rs, err := readRecords(names)
			if err != nil {
				return err
			}
			return writePlots(dir, format, rs)
		}}
	cmd.Flags().StringVarP(&dir, "dir", "d", "plots", "folder for the files")
	cmd.Flags().StringVarP(&format, "format", "f", "png", "png or svg")
	return cmd
}

func goalsCommand() *cobra.Command {
	return &cobra.Command{Use: "goals FILE...", Short: "Compare the results with the goals; exit 1 if a must misses or was not measured", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			rs, err := readRecords(names)
			if err != nil {
				return err
			}
			if missed, unknown := writeGoals(os.Stdout, rs); missed+unknown > 0 {
				return fmt.Errorf("%d musts miss, %d were not measured", missed, unknown)
			}
			return nil
		}}
}

func listCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List transports, links and workloads", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			for _, name := range transportNames() {
				fmt.Printf("transport %-16s %s  %s\n", name, transports[name].Secure, transports[name].Note)
			}
			for _, s := range links {
				fmt.Printf("link      %-16s %s\n", s.Name, s.Title)
			}
			for _, name := range linkNames() {
				for _, w := range plan(name) {
					fmt.Printf("workload  %-16s %s, on %s\n", w.name, w.title, name)
				}
			}
		}}
}

func linkCommand() *cobra.Command {
	var seed uint64
	cmd := &cobra.Command{Use: "link NAME", Short: "Hold a link up until interrupted, for anything else to use", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == loopback {
				return errors.New("loopback is there already; want another link")
			}
			p, err := newPlace(args[0], "mblink-")
			if err != nil {
				return err
			}
			defer p.Close()
			l := startLink(p.pair, p.spec, seed)
			fmt.Printf("%s: namespaces %s (%s) and %s (%s)\n", p.spec.Title, p.client, p.pair.ip[0], p.server, p.pair.ip[1])
			<-cmd.Context().Done()
			ab, ba := l.Stop()
			fmt.Printf("there %+v\nback  %+v\n", ab, ba)
			return nil
		}}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of what the link draws")
	return cmd
}

// The two ends are processes of this program that run starts.

func serverCommand() *cobra.Command {
	var name, addr, mode string
	cmd := &cobra.Command{Use: "server", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := findTransport(name)
			if err != nil {
				return err
			}
			return serve(t, addr, mode)
		}}
	cmd.Flags().StringVar(&name, "transport", ours, "")
	cmd.Flags().StringVar(&addr, "listen", "127.0.0.1:0", "")
	cmd.Flags().StringVar(&mode, "mode", "raw", "")
	return cmd
}

func clientCommand() *cobra.Command {
	var name, work string
	var o clientOptions
	cmd := &cobra.Command{Use: "client", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := findTransport(name)
			if err != nil {
				return err
			}
			return runClient(t, work, o)
		}}
	fs := cmd.Flags()
	fs.StringVar(&name, "transport", ours, "")
	fs.StringVar(&work, "work", "bulk", "")
	fs.StringVar(&o.addr, "addr", "", "")
	fs.Int64Var(&o.size, "size", 1<<26, "")
	fs.IntVar(&o.streams, "streams", 1, "")
	fs.IntVar(&o.n, "n", 100, "")
	fs.IntVar(&o.workers, "workers", 1, "")
	fs.DurationVar(&o.cap, "cap", 0, "")
	return cmd
}
