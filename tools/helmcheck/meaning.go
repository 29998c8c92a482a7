package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the names are checked, wherever this runs

	"github.com/robfig/cron/v3"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	names "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// longestCronJob is the longest name of a CronJob: that of a Job has 11 characters more.
const longestCronJob = 52

// A checker collects what is wrong with the objects of a release.
type checker struct {
	have     map[string]bool // "ConfigMap/name", also of what is outside of the release
	pods     []*core.PodTemplateSpec
	at       string
	problems []string
}

func (c *checker) add(format string, args ...any) {
	c.problems = append(c.problems, c.at+": "+fmt.Sprintf(format, args...))
}

// meaning finds what the API server, or the kubelet, would complain about. Outside is what the release may refer to
// without making it, as in "Secret/marketo".
func meaning(objects []meta.Object, outside []string) []string {
	c := &checker{have: map[string]bool{"ServiceAccount/default": true}}
	for _, o := range outside {
		c.have[o] = true
	}
	for _, o := range objects {
		c.at = kindOf(o) + "/" + o.GetName()
		if c.have[c.at] {
			c.add("is there twice")
		}
		c.have[c.at] = true
	}
	for _, o := range objects {
		c.at = kindOf(o) + "/" + o.GetName()
		c.object(o)
		switch o := o.(type) {
		case *batch.CronJob:
			c.cronJob(o)
		case *apps.Deployment:
			c.deployment(o)
		case *core.Pod:
			c.pod(&core.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, core.RestartPolicyNever)
		}
	}
	for _, o := range objects { // once all pods are known
		if s, ok := o.(*core.Service); ok {
			c.at = kindOf(o) + "/" + o.GetName()
			c.service(s)
		}
	}
	return c.problems
}

func kindOf(o meta.Object) string { return reflect.TypeOf(o).Elem().Name() }

// object checks what all objects have.
func (c *checker) object(o meta.Object) {
	for _, m := range names.IsDNS1123Label(o.GetName()) {
		c.add("name: %s", m)
	}
	c.labels(o.GetLabels())
}

func (c *checker) labels(all map[string]string) {
	for _, e := range validation.ValidateLabels(all, field.NewPath("labels")) {
		c.add("%v", e)
	}
}

func (c *checker) cronJob(o *batch.CronJob) {
	if len(o.Name) > longestCronJob {
		c.add("the name has %d characters, it may have %d", len(o.Name), longestCronJob)
	}
	if _, err := cron.ParseStandard(o.Spec.Schedule); err != nil {
		c.add("schedule: %v", err)
	}
	if o.Spec.TimeZone == nil {
		c.add("has no time zone")
	} else if _, err := time.LoadLocation(*o.Spec.TimeZone); err != nil || *o.Spec.TimeZone == "Local" {
		c.add("time zone %q: %v", *o.Spec.TimeZone, err)
	}
	if o.Spec.ConcurrencyPolicy != batch.ForbidConcurrent {
		c.add("concurrencyPolicy is %q", o.Spec.ConcurrencyPolicy)
	}
	job := &o.Spec.JobTemplate
	c.labels(job.Labels)
	c.pod(&job.Spec.Template, core.RestartPolicyNever)
	if job.Spec.PodFailurePolicy != nil {
		c.failurePolicy(job.Spec.PodFailurePolicy, &job.Spec.Template.Spec)
	}
}

// failurePolicy holds the rules of the API server about podFailurePolicy.
func (c *checker) failurePolicy(p *batch.PodFailurePolicy, pod *core.PodSpec) {
	for i, r := range p.Rules {
		if !slices.Contains([]batch.PodFailurePolicyAction{"FailJob", "Ignore", "Count"}, r.Action) {
			c.add("podFailurePolicy rule %d: action %q", i, r.Action)
		}
		if (r.OnExitCodes == nil) == (len(r.OnPodConditions) == 0) {
			c.add("podFailurePolicy rule %d: wants either onExitCodes or onPodConditions", i)
		}
		if codes := r.OnExitCodes; codes != nil {
			if !slices.IsSorted(codes.Values) || len(slices.Compact(slices.Clone(codes.Values))) != len(codes.Values) || len(codes.Values) == 0 {
				c.add("podFailurePolicy rule %d: codes %v are not ascending", i, codes.Values)
			}
			if codes.Operator == batch.PodFailurePolicyOnExitCodesOpIn && slices.Contains(codes.Values, 0) {
				c.add("podFailurePolicy rule %d: 0 is no failure", i)
			}
			if codes.ContainerName != nil && !slices.ContainsFunc(pod.Containers, func(k core.Container) bool { return k.Name == *codes.ContainerName }) {
				c.add("podFailurePolicy rule %d: there is no container %q", i, *codes.ContainerName)
			}
		}
	}
}

func (c *checker) deployment(o *apps.Deployment) {
	selector, err := meta.LabelSelectorAsSelector(o.Spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(o.Spec.Template.Labels)) {
		c.add("the selector %v does not select its pods, which have %v", selector, o.Spec.Template.Labels)
	}
	for _, other := range c.pods {
		if err == nil && selector.Matches(labels.Set(other.Labels)) {
			c.add("the selector %v selects pods of others too", selector)
		}
	}
	if o.Spec.Strategy.Type != apps.RecreateDeploymentStrategyType || o.Spec.Replicas == nil || *o.Spec.Replicas != 1 {
		c.add("there would be two at once")
	}
	c.pod(&o.Spec.Template, core.RestartPolicyAlways)
}

// service checks that there is somebody behind it.
func (c *checker) service(o *core.Service) {
	selector := labels.SelectorFromSet(o.Spec.Selector)
	for _, port := range o.Spec.Ports {
		if !slices.ContainsFunc(c.pods, func(p *core.PodTemplateSpec) bool {
			return !selector.Empty() && selector.Matches(labels.Set(p.Labels)) && hasPort(p, port.TargetPort)
		}) {
			c.add("port %q goes to %s of pods with %v: there are none", port.Name, port.TargetPort.String(), selector)
		}
	}
}

func hasPort(p *core.PodTemplateSpec, port intstr.IntOrString) bool {
	for _, k := range p.Spec.Containers {
		for _, have := range k.Ports {
			if port.Type == intstr.String && have.Name == port.StrVal || port.Type == intstr.Int && have.ContainerPort == port.IntVal {
				return true
			}
		}
	}
	return false
}

// pod checks the pod of one process.
func (c *checker) pod(p *core.PodTemplateSpec, restart core.RestartPolicy) {
	c.labels(p.Labels)
	c.pods = append(c.pods, p)
	s := &p.Spec
	if s.RestartPolicy != restart {
		c.add("restartPolicy is %q, want %q", s.RestartPolicy, restart)
	}
	if s.TerminationGracePeriodSeconds == nil || *s.TerminationGracePeriodSeconds < 10 {
		c.add("there is no time to stop")
	}
	c.refers("ServiceAccount", s.ServiceAccountName)
	volumes := map[string]bool{}
	for _, v := range s.Volumes {
		if volumes[v.Name] {
			c.add("there are two volumes %q", v.Name)
		}
		volumes[v.Name] = true
		switch {
		case v.ConfigMap != nil:
			c.refers("ConfigMap", v.ConfigMap.Name)
		case v.Secret != nil:
			c.refers("Secret", v.Secret.SecretName)
		case v.PersistentVolumeClaim != nil:
			c.refers("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName)
		}
	}
	for i := range s.Containers {
		c.container(&s.Containers[i], volumes)
		c.hardened(s.SecurityContext, &s.Containers[i])
	}
}

func (c *checker) refers(kind, name string) {
	if name == "" || !c.have[kind+"/"+name] {
		c.add("refers to %s/%s, which is not there", kind, name)
	}
}

func (c *checker) container(k *core.Container, volumes map[string]bool) {
	used := map[string]bool{}
	for _, m := range k.VolumeMounts {
		if !volumes[m.Name] {
			c.add("mounts the volume %q, which is not there", m.Name)
		}
		if used[m.MountPath] || !strings.HasPrefix(m.MountPath, "/") {
			c.add("mounts %q at %q, where something else is, or nothing can be", m.Name, m.MountPath)
		}
		used[m.MountPath] = true
	}
	seen := map[string]bool{}
	for _, e := range k.Env {
		if seen[e.Name] {
			c.add("sets %s twice", e.Name)
		}
		seen[e.Name] = true
		if v := e.ValueFrom; v != nil && v.SecretKeyRef != nil {
			c.refers("Secret", v.SecretKeyRef.Name)
		}
	}
	for _, e := range k.EnvFrom {
		if e.SecretRef != nil {
			c.refers("Secret", e.SecretRef.Name)
		}
		if e.ConfigMapRef != nil {
			c.refers("ConfigMap", e.ConfigMapRef.Name)
		}
	}
	for _, p := range []*core.Probe{k.LivenessProbe, k.ReadinessProbe, k.StartupProbe} {
		if p != nil && p.HTTPGet != nil && !hasPort(&core.PodTemplateSpec{Spec: core.PodSpec{Containers: []core.Container{*k}}}, p.HTTPGet.Port) {
			c.add("is probed at port %s, where nothing listens", p.HTTPGet.Port.String())
		}
	}
	for what, limit := range k.Resources.Limits {
		if request, ok := k.Resources.Requests[what]; ok && request.Cmp(limit) > 0 {
			c.add("requests more %s (%s) than its limit (%s)", what, request.String(), limit.String())
		}
	}
}

// hardened holds the restricted standard for pods of Kubernetes, and a root file system that cannot be written to.
func (c *checker) hardened(pod *core.PodSecurityContext, k *core.Container) {
	own := k.SecurityContext
	switch {
	case pod == nil || pod.RunAsNonRoot == nil || !*pod.RunAsNonRoot || pod.RunAsUser == nil || *pod.RunAsUser == 0:
		c.add("may run as root")
	case pod.SeccompProfile == nil || pod.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		c.add("has no seccomp profile")
	case own == nil || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation:
		c.add("may gain rights")
	case own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem:
		c.add("may write to its root file system")
	case own.Capabilities == nil || !slices.Contains(own.Capabilities.Drop, "ALL") || len(own.Capabilities.Add) > 0:
		c.add("keeps capabilities")
	}
}
