package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// writeSchema makes a JSON schema that refuses unknown fields. KEDA's Go types would do the same, but bring in the cloud SDKs
// of all scalers; its CustomResourceDefinition says more than they do (required fields, ranges).
func writeSchema(crd, out string) error {
	var definition struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := read(crd, &definition); err != nil {
		return err
	}
	if len(definition.Spec.Versions) != 1 {
		return fmt.Errorf("%s: expected one version", crd)
	}
	schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	if len(schema) == 0 {
		return fmt.Errorf("%s: no schema", crd)
	}
	makeStrict(schema)
	// The definition leaves the metadata to Kubernetes.
	schema["properties"].(map[string]any)["metadata"] = map[string]any{"type": "object"}
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}

func makeStrict(schema map[string]any) {
	properties, hasProperties := schema["properties"].(map[string]any)
	if _, isOpen := schema["x-kubernetes-preserve-unknown-fields"]; hasProperties && !isOpen {
		schema["additionalProperties"] = false
	}
	for _, property := range properties {
		makeStrict(property.(map[string]any))
	}
	for _, name := range []string{"items", "additionalProperties"} {
		if inner, ok := schema[name].(map[string]any); ok {
			makeStrict(inner)
		}
	}
}

// scaledObject has the fields that are compared with the values. The schema of the definition checks the rest.
type scaledObject struct {
	Spec struct {
		ScaleTargetRef  struct{ Kind, Name string }
		MinReplicaCount int
		MaxReplicaCount int
		Triggers        []struct {
			Type     string
			Metadata map[string]string
		}
	}
}

// check compares the trigger with the parameters of KEDA's scaler, and the numbers with the values.
func (scaled scaledObject) check(keda string, values map[string]any) (problems []string) {
	if len(scaled.Spec.Triggers) != 1 || scaled.Spec.Triggers[0].Type != "apache-kafka" {
		return []string{"expected one trigger of type apache-kafka"}
	}
	trigger := scaled.Spec.Triggers[0].Metadata
	known, err := parameters(filepath.Join(keda, "schema/generated/scalers-schema.json"), "apache-kafka")
	if err != nil {
		return []string{err.Error()}
	}
	for name := range trigger {
		if !known[name] {
			problems = append(problems, "the scaler has no parameter "+name)
		}
	}
	expected := map[string]string{
		"bootstrapServers":  at(values, "config", "kafka", "bootstrap.servers").(string),
		"offsetResetPolicy": "earliest",
	}
	for name, value := range expected {
		if trigger[name] != value {
			problems = append(problems, fmt.Sprintf("%s: %q", name, trigger[name]))
		}
	}
	partitions, _ := at(values, "autoscaling", "keda", "partitions").(float64)
	workers, ok := at(values, "config", "workers").(float64)
	if !ok {
		workers = 1
	}
	activation, err := strconv.ParseFloat(trigger["activationLagThreshold"], 64)
	if err != nil || activation < partitions {
		problems = append(problems, "activationLagThreshold is below the partitions")
	}
	least, most := scaled.Spec.MinReplicaCount, scaled.Spec.MaxReplicaCount
	if least < 1 || least > most || float64(most)*workers > partitions {
		problems = append(problems, fmt.Sprintf("from %d to %d relays", least, most))
	}
	return problems
}

// parameters returns the names of a scaler's parameters.
func parameters(path, scaler string) (map[string]bool, error) {
	var schema struct {
		Scalers []struct {
			Type       string
			Parameters []struct{ Name string }
		}
	}
	if err := read(path, &schema); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, described := range schema.Scalers {
		if described.Type == scaler {
			for _, parameter := range described.Parameters {
				names[parameter.Name] = true
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s does not describe %s", path, scaler)
	}
	return names, nil
}

// at returns the value below these keys, or nil.
func at(values any, keys ...string) any {
	for _, key := range keys {
		table, _ := values.(map[string]any)
		values = table[key]
	}
	return values
}
