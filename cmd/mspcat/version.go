package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q: expected no arguments", args[0])
			}
			if _, err := fmt.Fprintln(p.stdout, buildVersion()); err != nil {
				return &stdoutError{err}
			}
			return nil
		},
	}
}

// buildVersion tells what the program was built of, on one line.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "mspcat of unknown version"
	}
	words := []string{"mspcat", info.Main.Version, info.GoVersion}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			words = append(words, s.Value[:min(len(s.Value), 12)])
		case s.Key == "vcs.modified" && s.Value == "true":
			words = append(words, "modified")
		case s.Key == "GOOS", s.Key == "GOARCH":
			words = append(words, s.Value)
		}
	}
	return strings.Join(words, " ")
}
