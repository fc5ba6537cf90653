package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mesh.example/msp/mdpconn"
)

func (p *program) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, show and import identities",
		Long: `Make, show and import identities. An identity is kept in a key file, which only
its owner may read. Without FILE it is the one in the user's configuration
directory that mspcat listen uses. The commands print the SID on stdout, which
is public, and never the secret.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("no key command: expected new, show or import")
			}
			return usagef("%q is no key command: expected new, show or import", args[0])
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "new [FILE]",
		Short: "Make a new identity, in a new file",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := keyPath(args)
			if err != nil {
				return err
			}
			id, err := mdpconn.NewIdentity()
			if err != nil {
				return err
			}
			return p.createKey(path, id)
		},
	}, &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print the SID of an identity",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := keyPath(args)
			if err != nil {
				return err
			}
			id, err := mdpconn.ReadKeyFile(path)
			if err != nil {
				return keyError(path, err)
			}
			return p.printSID(id)
		},
	}, &cobra.Command{
		Use:   "import FILE",
		Short: "Make a new file of an identity's seed, read from stdin",
		Long: `Make a new file of an identity that exists already, from its seed: 64 hexadecimal
digits, read from stdin. On a terminal they are not shown.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%d arguments: expected one, the FILE to make", len(args))
			}
			id, err := p.readSeed()
			if err != nil {
				return err
			}
			return p.createKey(args[0], id)
		},
	})
	return cmd
}

func (p *program) createKey(path string, id *mdpconn.Identity) error {
	f, err := mdpconn.CreateKeyFile(path, id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return p.printSID(id)
}

func (p *program) printSID(id *mdpconn.Identity) error {
	if _, err := fmt.Fprintln(p.stdout, id.SID()); err != nil {
		return &stdoutError{err}
	}
	return nil
}

// seedLimit bounds what is read in search of a seed.
const seedLimit = 1024

// readSeed reads a seed from stdin. No error contains what was read.
func (p *program) readSeed() (*mdpconn.Identity, error) {
	text, err := p.readSecret()
	if err != nil {
		return nil, &stdinError{err}
	}
	defer clear(text)
	digits := bytes.TrimSpace(text)
	seed := make([]byte, mdpconn.SeedSize)
	defer clear(seed)
	if len(digits) != 2*len(seed) {
		return nil, usagef("stdin has %d characters: expected a seed of %d hexadecimal digits", len(digits), 2*len(seed))
	}
	if _, err := hex.Decode(seed, digits); err != nil {
		return nil, usagef("stdin has a character that is no hexadecimal digit: expected a seed of %d of them", 2*len(seed))
	}
	return mdpconn.IdentityFromSeed(seed)
}

func (p *program) readSecret() ([]byte, error) {
	if f, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(p.stderr, "seed (64 hexadecimal digits, not shown): ")
		defer fmt.Fprintln(p.stderr)
		return term.ReadPassword(int(f.Fd()))
	}
	return io.ReadAll(io.LimitReader(p.stdin, seedLimit))
}

// keyPath returns the file that a key command is about.
func keyPath(args []string) (string, error) {
	switch len(args) {
	case 0:
		return defaultKeyPath()
	case 1:
		return args[0], nil
	}
	return "", usagef("%d arguments: expected one FILE at most", len(args))
}

// defaultKeyPath returns the key file of listeners.
func defaultKeyPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the default key file: name one with -i KEYFILE: %w", err)
	}
	return filepath.Join(dir, "mspcat", "identity"), nil
}

// An openKey is the identity that a command uses, and its file, if it has one,
// which is locked.
type openKey struct {
	id   *mdpconn.Identity
	file *mdpconn.KeyFile
}

func (k *openKey) close() {
	if k.file != nil {
		k.file.Close()
	}
}

// dialIdentity returns the identity to connect with: a fresh one unless told.
func (p *program) dialIdentity(opts *options) (*openKey, error) {
	if opts.identity != "" {
		return openKeyFile(opts.identity)
	}
	id, err := mdpconn.NewIdentity()
	return &openKey{id: id}, err
}

// listenIdentity returns the identity to listen as: the kept one unless told,
// made if there is none yet.
func (p *program) listenIdentity(opts *options) (*openKey, error) {
	if opts.identity != "" {
		return openKeyFile(opts.identity)
	}
	path, err := defaultKeyPath()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		id, err := mdpconn.NewIdentity()
		if err != nil {
			return nil, err
		}
		f, err := mdpconn.CreateKeyFile(path, id)
		if err == nil {
			p.say("made the identity %v in %s", id.SID(), path)
			return &openKey{id, f}, nil
		}
		if !errors.Is(err, fs.ErrExist) { // else somebody else was faster
			return nil, err
		}
	}
	return openKeyFile(path)
}

func openKeyFile(path string) (*openKey, error) {
	f, err := mdpconn.OpenKeyFile(path)
	if err != nil {
		return nil, keyError(path, err)
	}
	return &openKey{f.Identity(), f}, nil
}

// keyError tells what to do about a key file that cannot be used.
func keyError(path string, err error) error {
	switch {
	case errors.Is(err, mdpconn.ErrKeyFileInUse):
		return fmt.Errorf("key file %s is in use, most likely by another mspcat that listens: "+
			"end that one, or take another identity with -i KEYFILE", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key file %s does not exist: make one with mspcat key new %s", path, shellQuote(path))
	}
	return err
}
