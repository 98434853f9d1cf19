package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// An apt is Debian's package manager with options. The zero value is the
// host's; another has package lists of its own, for other releases and
// architectures, and installs nothing.
type apt struct{ options []string }

// A source is one release for some architectures.
type source struct {
	release       string
	architectures []string
}

// newApt makes an apt below dir and fetches its package lists from the host's
// own mirror. It takes nothing as installed, so that a package's dependencies
// are all of them.
func newApt(ctx context.Context, dir string, sources ...source) (apt, error) {
	mirror, err := mirror(ctx)
	if err != nil {
		return apt{}, err
	}
	for _, sub := range []string{"lists/partial", "archives/partial", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return apt{}, err
		}
	}
	var list strings.Builder
	options := []string{"APT::Architectures::=amd64"}
	for _, s := range sources {
		fmt.Fprintf(&list, "deb [arch=%s signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n",
			strings.Join(s.architectures, ","), mirror, s.release)
		for _, architecture := range s.architectures {
			options = append(options, "APT::Architectures::="+architecture)
		}
	}
	for name, content := range map[string]string{"sources.list": list.String(), "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return apt{}, err
		}
	}
	for option, name := range map[string]string{
		"Dir::Etc::SourceList": "sources.list", "Dir::Etc::SourceParts": "empty", "Dir::Etc::PreferencesParts": "empty",
		"Dir::State": ".", "Dir::State::Lists": "lists", "Dir::State::status": "status",
		"Dir::Cache": ".", "Dir::Cache::Archives": "archives",
	} {
		options = append(options, option+"="+filepath.Join(dir, name))
	}
	a := apt{options: append(options, "Acquire::Languages=none", "APT::Install-Recommends=false", "Dir::Etc::Preferences=/dev/null")}
	_, err = a.get(ctx, "", "update")
	return a, err
}

// mirror is where the host's own release comes from.
func mirror(ctx context.Context) (string, error) {
	out, err := command(ctx, "", "apt-get", "indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if uri, ok := strings.CutPrefix(line, "Debian main "); ok {
			return strings.TrimSpace(uri), nil
		}
	}
	return "", fmt.Errorf("apt knows no mirror of Debian's; is this Debian 12 with package lists (apt-get update)? %q", tail(string(out), 500))
}

// flags are the options as apt's programs take them. As root apt would else
// drop to a user who may not write to the cache.
func (a apt) flags() []string {
	flags := []string{"-o", "APT::Sandbox::User=root"}
	for _, option := range a.options {
		flags = append(flags, "-o", option)
	}
	return flags
}

func (a apt) get(ctx context.Context, dir string, args ...string) ([]byte, error) {
	return command(ctx, dir, "apt-get", append(a.flags(), args...)...)
}

// dependency finds the package behind a package that stands for the newest
// version, such as linux-image-amd64.
func (a apt) dependency(ctx context.Context, name string, pattern *regexp.Regexp) (string, error) {
	out, err := command(ctx, "", "apt-cache", append(a.flags(), "depends", name)...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if found := pattern.FindString(line); strings.Contains(line, "Depends: ") && found != "" {
			return found, nil
		}
	}
	return "", fmt.Errorf("apt knows no %s behind %s: %q", pattern, name, out)
}

// withDependencies fetches packages with all that they need, and returns the files.
func (a apt) withDependencies(ctx context.Context, dir string, names ...string) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
		return nil, err
	}
	args := append([]string{"install", "-y", "--download-only", "-o", "Dir::Cache::Archives=" + dir}, names...)
	if _, err := a.get(ctx, "", args...); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}
