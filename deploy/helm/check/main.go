// Checks what the chart renders, by the types of Kubernetes and of the Prometheus operator, and by KEDA's own descriptions.
//
//	check manifests VALUES RENDERED KEDA OUT   decodes and checks the manifests, and writes what others check to OUT
//	check crd FILE OUT                         makes a strict JSON schema from a CustomResourceDefinition
//	check kubernetes WHEEL OUT VERSION...      unpacks the schemas of versions of Kubernetes
//	check rules FILE FILE                      compares the alert rules of two files
//
// deploy/helm/test.sh runs it.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 5 && arguments[0] == "manifests":
		return checkManifests(arguments[1], arguments[2], arguments[3], arguments[4])
	case len(arguments) == 3 && arguments[0] == "crd":
		return writeSchema(arguments[1], arguments[2])
	case len(arguments) > 3 && arguments[0] == "kubernetes":
		return unpackSchemas(arguments[1], arguments[2], arguments[3:])
	case len(arguments) == 3 && arguments[0] == "rules":
		return compareRules(arguments[1], arguments[2])
	}
	return errors.New("unknown arguments; main.go lists them")
}

// read decodes a file of YAML or JSON.
func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func compareRules(left, right string) error {
	var one, other map[string]any
	if err := errors.Join(read(left, &one), read(right, &other)); err != nil {
		return err
	}
	if len(one) == 0 || !reflect.DeepEqual(one, other) {
		return fmt.Errorf("%s and %s have different rules", left, right)
	}
	return nil
}
