package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds are the objects that the chart may make.
var kinds = map[string]func() meta.Object{
	"v1 ConfigMap":             func() meta.Object { return new(core.ConfigMap) },
	"v1 Secret":                func() meta.Object { return new(core.Secret) },
	"v1 Service":               func() meta.Object { return new(core.Service) },
	"v1 ServiceAccount":        func() meta.Object { return new(core.ServiceAccount) },
	"v1 PersistentVolumeClaim": func() meta.Object { return new(core.PersistentVolumeClaim) },
	"v1 Pod":                   func() meta.Object { return new(core.Pod) },
	"apps/v1 Deployment":       func() meta.Object { return new(apps.Deployment) },
	"batch/v1 CronJob":         func() meta.Object { return new(batch.CronJob) },
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// decode reads the objects of all files. A field that its type does not have, a value of another type and a key that is
// there twice are problems.
func decode(files map[string]string) (objects []meta.Object, problems []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, notes) {
			continue
		}
		for _, text := range separator.Split(files[name], -1) {
			if strings.TrimSpace(withoutComments(text)) == "" {
				continue
			}
			o, err := decodeOne([]byte(text))
			for _, e := range err {
				problems = append(problems, fmt.Sprintf("%s: %v", name, e))
			}
			if o != nil {
				objects = append(objects, o)
			}
		}
	}
	return objects, problems
}

func decodeOne(text []byte) (meta.Object, []error) {
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, []error{err}
	}
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(data, &kind); err != nil {
		return nil, []error{err}
	}
	make, ok := kinds[kind.APIVersion+" "+kind.Kind]
	if !ok {
		return nil, []error{fmt.Errorf("an object of kind %q in API %q is not expected here", kind.Kind, kind.APIVersion)}
	}
	o := make()
	strict, err := json.UnmarshalStrict(data, o)
	if err != nil {
		return nil, []error{err}
	}
	return o, strict
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
