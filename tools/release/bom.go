package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// bom writes what a program is made of, in the words of CycloneDX: the modules that the linker has put into it, as
// it says itself.
func (r *release) bom(program, out string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	b := makeBOM(r.version, info, sha256.Sum256(content), r.time)
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(b, cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}

// makeBOM lists the modules of a build. The list's serial number follows from the program's checksum.
func makeBOM(version string, info *debug.BuildInfo, sum [sha256.Size]byte, at time.Time) *cyclonedx.BOM {
	main := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, Name: "martsync", Version: version,
		PackageURL: purl(info.Main.Path, "v"+version),
		Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
		Properties: settings(info),
	}
	main.BOMRef = main.PackageURL
	components := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"),
		PackageURL: purl("std", strings.TrimPrefix(info.GoVersion, "go")),
	}}
	for _, m := range modules(info) {
		components = append(components, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl(m.Path, m.Version),
			Properties: &[]cyclonedx.Property{{Name: "martsync:go.sum", Value: m.Sum}},
		})
	}
	var refs []string
	for i := range components {
		components[i].BOMRef = components[i].PackageURL
		refs = append(refs, components[i].BOMRef)
	}
	b := cyclonedx.NewBOM()
	b.SerialNumber = "urn:uuid:" + uuid(sum)
	b.Metadata = &cyclonedx.Metadata{Timestamp: at.Format(time.RFC3339), Component: &main}
	b.Components = &components
	// Go does not tell which module needs which; that the program is made of all of them is what is known.
	b.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	b.Compositions = &[]cyclonedx.Composition{{
		Aggregate: cyclonedx.CompositionAggregateComplete, Assemblies: &[]cyclonedx.BOMReference{cyclonedx.BOMReference(main.BOMRef)},
	}}
	return b
}

// modules are those that a program was linked from, replacements in the place of what they replace, by name.
func modules(info *debug.BuildInfo) []debug.Module {
	var all []debug.Module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b debug.Module) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Version, b.Version))
	})
	return all
}

// settings are how a program was built.
func settings(info *debug.BuildInfo) *[]cyclonedx.Property {
	var all []cyclonedx.Property
	for _, s := range info.Settings {
		all = append(all, cyclonedx.Property{Name: "martsync:build:" + s.Key, Value: s.Value})
	}
	return &all
}

// purl names a module as scanners look it up: https://github.com/package-url/purl-spec, type golang, which wants lower case.
func purl(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// uuid makes a UUID of version 8 (RFC 9562: bits of one's own) of a checksum.
func uuid(sum [sha256.Size]byte) string {
	u := sum[:16]
	u = slices.Clone(u)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// isLicence reports whether a file at the top of a module is to go with programs that are made of it.
func isLicence(name string) bool {
	name = strings.ToUpper(name)
	name = strings.TrimSuffix(name, filepath.Ext(name))
	for _, word := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"} {
		if name == word || strings.HasPrefix(name, word+"-") || strings.HasSuffix(name, "-"+word) {
			return true
		}
	}
	return false
}
