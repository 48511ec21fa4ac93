package main

import (
	"fmt"
	"slices"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
)

// minimumMarginSeconds is how long the relay may take to end its threads after its deadline.
const minimumMarginSeconds = 15

// expectations collects those that are not met.
type expectations []string

func (unmet *expectations) that(met bool, format string, arguments ...any) {
	if !met {
		*unmet = append(*unmet, fmt.Sprintf(format, arguments...))
	}
}

// problems returns what is wrong in resources that are valid.
func (found manifests) problems(config, values map[string]any, keda string) []string {
	var unmet expectations
	pod := found.StatefulSet.Spec.Template.Spec
	unmet.that(len(pod.Containers) == 1, "expected one container")
	unmet.ofStatefulSet(found.StatefulSet, found.ScaledObject != nil)
	unmet.ofSecurity(pod)
	unmet.ofPodAndConfig(found.StatefulSet, config, values)
	unmet.ofSelectors(found)
	if found.NetworkPolicy != nil {
		unmet.ofNetworkPolicy(found)
	}
	if budget := found.PodDisruptionBudget; budget != nil {
		eviction := budget.Spec.UnhealthyPodEvictionPolicy
		unmet.that(eviction != nil && *eviction == policy.AlwaysAllow, "PodDisruptionBudget: not AlwaysAllow")
		unmet.that(budget.Spec.MaxUnavailable != nil, "PodDisruptionBudget: no maxUnavailable")
	}
	if dashboard := found.Dashboard; dashboard != nil {
		unmet.that(len(dashboard.Data) == 1, "ConfigMap of the dashboard: not one file")
		unmet.that(dashboard.Labels["grafana_dashboard"] == "1", "ConfigMap of the dashboard: not the label of Grafana's sidecar")
	}
	if account := found.ServiceAccount; account != nil {
		unmet.that(account.Name == pod.ServiceAccountName, "the pod has another ServiceAccount: %s", pod.ServiceAccountName)
		unmet.that(isFalse(account.AutomountServiceAccountToken), "ServiceAccount: mounts its token")
	}
	if found.ScaledObject != nil {
		target := found.ScaledObject.Spec.ScaleTargetRef
		unmet.that(target.Kind == "StatefulSet" && target.Name == found.StatefulSet.Name, "ScaledObject: scales %v", target)
		unmet = append(unmet, found.ScaledObject.check(keda, values)...)
	}
	return unmet
}

func (unmet *expectations) ofStatefulSet(set *apps.StatefulSet, isScaled bool) {
	unmet.that(set.Spec.PodManagementPolicy == apps.ParallelPodManagement, "StatefulSet: not Parallel")
	unmet.that((set.Spec.Replicas == nil) == isScaled, "StatefulSet: replicas, and who decides about them")
	unmet.that(set.Spec.Template.Annotations["checksum/config"] != "", "no checksum/config")
}

// ofSecurity requires the restricted pod security standard, and a read-only root.
func (unmet *expectations) ofSecurity(pod core.PodSpec) {
	context, container := pod.SecurityContext, pod.Containers[0].SecurityContext
	if context == nil || container == nil {
		unmet.that(false, "no security context")
		return
	}
	unmet.that(isTrue(context.RunAsNonRoot), "runAsNonRoot is not set")
	unmet.that(context.RunAsUser != nil && *context.RunAsUser == 65532, "runAsUser is not 65532")
	unmet.that(context.RunAsGroup != nil && *context.RunAsGroup == 65532, "runAsGroup is not 65532")
	seccomp := context.SeccompProfile
	unmet.that(seccomp != nil && seccomp.Type == core.SeccompProfileTypeRuntimeDefault, "no seccompProfile RuntimeDefault")
	unmet.that(isFalse(container.AllowPrivilegeEscalation), "allowPrivilegeEscalation is not false")
	unmet.that(isTrue(container.ReadOnlyRootFilesystem), "readOnlyRootFilesystem is not true")
	unmet.that(container.Privileged == nil, "privileged is set")
	capabilities := container.Capabilities
	unmet.that(capabilities != nil && slices.Equal(capabilities.Drop, []core.Capability{"ALL"}) && capabilities.Add == nil,
		"capabilities are not all dropped")
	unmet.that(container.RunAsNonRoot == nil && container.RunAsUser == nil, "the container overrides the pod's user")
	unmet.that(isFalse(pod.AutomountServiceAccountToken), "the pod mounts a token")
	unmet.that(isFalse(pod.EnableServiceLinks), "enableServiceLinks is not false")
	unmet.that(!pod.HostNetwork && !pod.HostPID && !pod.HostIPC, "the pod shares a namespace of the host")
}

// ofPodAndConfig compares the pod with relay.toml and with the values.
func (unmet *expectations) ofPodAndConfig(set *apps.StatefulSet, config, values map[string]any) {
	pod := set.Spec.Template.Spec
	container := pod.Containers[0]
	deadline, _ := at(config, "shutdown", "deadline_ms").(int64)
	grace := pod.TerminationGracePeriodSeconds
	unmet.that(deadline > 0 && grace != nil && *grace*1000 >= deadline+minimumMarginSeconds*1000,
		"the grace period does not cover shutdown.deadline_ms = %d and %d seconds", deadline, minimumMarginSeconds)
	workers, _ := config["workers"].(int64)
	unmet.that(workers >= 1, "relay.toml: workers is not set")
	unmet.that(config["instance"] == nil, "relay.toml: instance is set")
	port := container.Ports[0]
	unmet.that(port.Name == "admin", "no port admin")
	listen := at(config, "admin", "listen")
	unmet.that(listen == fmt.Sprint("0.0.0.0:", port.ContainerPort) || listen == fmt.Sprint("[::]:", port.ContainerPort),
		"relay.toml: admin.listen = %v", listen)
	for _, expected := range []struct {
		path  string
		probe *core.Probe
	}{{"/livez", container.StartupProbe}, {"/livez", container.LivenessProbe}, {"/readyz", container.ReadinessProbe}} {
		unmet.that(asks(expected.probe, expected.path), "a probe does not ask %s", expected.path)
	}
	if limits, isGiven := at(values, "resources").(map[string]any); !isGiven || len(limits) > 0 {
		unmet.that(!container.Resources.Limits.Memory().IsZero(), "no memory limit")
	}
	for _, mount := range container.VolumeMounts {
		hasVolume := slices.ContainsFunc(pod.Volumes, func(volume core.Volume) bool { return volume.Name == mount.Name })
		unmet.that(hasVolume, "no volume %s", mount.Name)
		unmet.that(mount.ReadOnly, "%s can be written", mount.MountPath)
	}
}

// ofSelectors requires that all select the pods.
func (unmet *expectations) ofSelectors(found manifests) {
	labels := found.StatefulSet.Spec.Template.Labels
	selectors := map[string]map[string]string{
		"StatefulSet": found.StatefulSet.Spec.Selector.MatchLabels,
		"Service":     found.Service.Spec.Selector,
	}
	if found.NetworkPolicy != nil {
		selectors["NetworkPolicy"] = found.NetworkPolicy.Spec.PodSelector.MatchLabels
	}
	if found.PodDisruptionBudget != nil {
		selectors["PodDisruptionBudget"] = found.PodDisruptionBudget.Spec.Selector.MatchLabels
	}
	if found.PodMonitor != nil {
		selectors["PodMonitor"] = found.PodMonitor.Spec.Selector.MatchLabels
		endpoints := found.PodMonitor.Spec.PodMetricsEndpoints
		unmet.that(len(endpoints) == 1 && endpoints[0].Port != nil && *endpoints[0].Port == "admin", "PodMonitor: not the port admin")
	}
	for kind, selector := range selectors {
		unmet.that(len(selector) == 2, "%s: selects by %v", kind, selector)
		for key, value := range selector {
			unmet.that(labels[key] == value, "%s: does not select the pods", kind)
		}
	}
	unmet.that(found.StatefulSet.Spec.ServiceName == found.Service.Name && found.Service.Spec.ClusterIP == "None",
		"the StatefulSet has no headless Service")
}

// ofNetworkPolicy requires both directions, and that no rule admits everybody.
func (unmet *expectations) ofNetworkPolicy(found manifests) {
	spec := found.NetworkPolicy.Spec
	unmet.that(len(spec.PolicyTypes) == 2, "NetworkPolicy: not for both directions")
	for _, rule := range spec.Ingress {
		unmet.that(len(rule.From) > 0, "NetworkPolicy: admits everybody")
		unmet.that(len(rule.Ports) == 1 && rule.Ports[0].Port.StrVal == "admin", "NetworkPolicy: not the port admin alone")
	}
	unmet.that(len(spec.Egress) >= 2, "NetworkPolicy: no way to the DNS and the brokers")
	for _, rule := range spec.Egress {
		unmet.that(len(rule.Ports) > 0, "NetworkPolicy: every port is open")
	}
}

func asks(probe *core.Probe, path string) bool {
	return probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Path == path && probe.HTTPGet.Port.StrVal == "admin"
}

func isTrue(flag *bool) bool  { return flag != nil && *flag }
func isFalse(flag *bool) bool { return flag != nil && !*flag }
