package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the rendered resources by their kinds; nil where one was not rendered.
type manifests struct {
	ConfigMap           *core.ConfigMap
	Dashboard           *core.ConfigMap
	Service             *core.Service
	ServiceAccount      *core.ServiceAccount
	StatefulSet         *apps.StatefulSet
	NetworkPolicy       *networking.NetworkPolicy
	PodDisruptionBudget *policy.PodDisruptionBudget
	PodMonitor          *monitoring.PodMonitor
	PrometheusRule      *monitoring.PrometheusRule
	ScaledObject        *scaledObject
}

func checkManifests(valuesPath, rendered, keda, out string) error {
	var values map[string]any
	if err := read(valuesPath, &values); err != nil {
		return err
	}
	text, err := os.ReadFile(rendered)
	if err != nil {
		return err
	}
	found, kinds, err := decode(text)
	if err != nil {
		return err
	}
	expected, err := expectedKinds(valuesPath)
	if err != nil {
		return err
	}
	if !slices.Equal(kinds, expected) {
		return fmt.Errorf("renders %v, expected %v", kinds, expected)
	}
	var config map[string]any
	relayToml := found.ConfigMap.Data["relay.toml"]
	if _, err := toml.Decode(relayToml, &config); err != nil {
		return fmt.Errorf("relay.toml: %w", err)
	}
	problems := found.problems(config, values, keda)
	problems = append(problems, differences("config", at(values, "config"), config)...)
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return found.write(relayToml, out)
}

// decode reads each document as its type; unknown fields are errors.
func decode(text []byte) (found manifests, kinds []string, err error) {
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var head struct{ Kind string }
		if err := yaml.Unmarshal(document, &head); err != nil {
			return found, nil, err
		}
		into := map[string]func() any{
			"ConfigMap":      func() any { return found.configMap(document) },
			"Service":        func() any { found.Service = new(core.Service); return found.Service },
			"ServiceAccount": func() any { found.ServiceAccount = new(core.ServiceAccount); return found.ServiceAccount },
			"StatefulSet":    func() any { found.StatefulSet = new(apps.StatefulSet); return found.StatefulSet },
			"NetworkPolicy":  func() any { found.NetworkPolicy = new(networking.NetworkPolicy); return found.NetworkPolicy },
			"PodDisruptionBudget": func() any {
				found.PodDisruptionBudget = new(policy.PodDisruptionBudget)
				return found.PodDisruptionBudget
			},
			"PodMonitor":     func() any { found.PodMonitor = new(monitoring.PodMonitor); return found.PodMonitor },
			"PrometheusRule": func() any { found.PrometheusRule = new(monitoring.PrometheusRule); return found.PrometheusRule },
			"ScaledObject":   func() any { found.ScaledObject = new(scaledObject); return found.ScaledObject },
		}[head.Kind]
		if into == nil {
			return found, nil, fmt.Errorf("unexpected kind %q", head.Kind)
		}
		strict := yaml.UnmarshalStrict
		if head.Kind == "ScaledObject" {
			strict = func(text []byte, into any, _ ...yaml.JSONOpt) error { return yaml.Unmarshal(text, into) }
		}
		if err := strict(document, into()); err != nil {
			return found, nil, fmt.Errorf("%s: %w", head.Kind, err)
		}
		kinds = append(kinds, head.Kind)
	}
	slices.Sort(kinds)
	return found, kinds, nil
}

// configMap returns where a ConfigMap goes: the dashboard has a name that ends with it.
func (found *manifests) configMap(document []byte) *core.ConfigMap {
	var head struct{ Metadata struct{ Name string } }
	into := &found.ConfigMap
	if err := yaml.Unmarshal(document, &head); err == nil && strings.HasSuffix(head.Metadata.Name, "-dashboard") {
		into = &found.Dashboard
	}
	*into = new(core.ConfigMap)
	return *into
}

// expectedKinds reads the line "# renders: ..." of a file of values.
func expectedKinds(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	kinds, ok := strings.CutPrefix(first, "# renders: ")
	if !ok {
		return nil, fmt.Errorf("%s does not begin with # renders:", path)
	}
	expected := strings.Fields(kinds)
	slices.Sort(expected)
	return expected, nil
}

// differences names the values that the configuration file lacks or has otherwise.
func differences(path string, wanted, seen any) (problems []string) {
	switch wanted := wanted.(type) {
	case map[string]any:
		table, _ := seen.(map[string]any)
		for key, value := range wanted {
			problems = append(problems, differences(path+"/"+key, value, table[key])...)
		}
		return problems
	case []any:
		list, _ := seen.([]any)
		if len(list) != len(wanted) {
			return []string{fmt.Sprintf("%s: %v instead of %v", path, seen, wanted)}
		}
		for index, value := range wanted {
			problems = append(problems, differences(fmt.Sprint(path, "/", index), value, list[index])...)
		}
		return problems
	case float64:
		if whole, ok := seen.(int64); ok && float64(whole) == wanted {
			return nil
		}
		if wanted == float64(int64(wanted)) {
			return []string{fmt.Sprintf("%s: %v (%T) instead of the whole number %v", path, seen, seen, wanted)}
		}
	}
	if seen != wanted {
		problems = append(problems, fmt.Sprintf("%s: %#v instead of %#v", path, seen, wanted))
	}
	return problems
}

// write leaves what the relay, promtool and the broker test read.
func (found manifests) write(relayToml, out string) error {
	set, err := json.MarshalIndent(found.StatefulSet, "", "  ")
	if err != nil {
		return err
	}
	var environment strings.Builder
	for _, variable := range found.StatefulSet.Spec.Template.Spec.Containers[0].Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			value = "from-elsewhere"
		}
		fmt.Fprintf(&environment, "%s=%s\n", variable.Name, value)
	}
	files := map[string][]byte{
		"relay.toml":       []byte(relayToml),
		"statefulset.json": set,
		"environment":      []byte(environment.String()),
	}
	if found.PrometheusRule != nil {
		if files["alerts.yml"], err = yaml.Marshal(found.PrometheusRule.Spec); err != nil {
			return err
		}
	}
	if found.Dashboard != nil {
		files["dashboard.json"] = []byte(found.Dashboard.Data["audit-relay.json"])
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
