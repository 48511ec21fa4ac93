package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unpackSchemas takes the strict schemas of these versions of Kubernetes out of a wheel of kubernetes-validate. There they have
// ids at kubernetes.io and refer to each other by them; without the ids and with plain names they are found beside each other.
func unpackSchemas(wheel, out string, versions []string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer archive.Close()
	count := map[string]int{}
	for _, file := range archive.File {
		folder, name := filepath.Split(file.Name)
		version := strings.TrimSuffix(filepath.Base(folder), "-local-strict")
		if !slices.Contains(versions, strings.TrimPrefix(version, "v")) || !strings.HasSuffix(folder, "-strict/") {
			continue
		}
		text, err := schemaWithoutID(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file.Name, err)
		}
		if err := os.MkdirAll(filepath.Join(out, version), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, version, name), text, 0o644); err != nil {
			return err
		}
		count[version]++
	}
	if len(count) != len(versions) {
		return fmt.Errorf("%s has only %v of %v", wheel, count, versions)
	}
	return nil
}

func schemaWithoutID(file *zip.File) ([]byte, error) {
	reader, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	delete(schema, "$id")
	if text, err = json.Marshal(schema); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(text, []byte(`"/api/_definitions.json#`), []byte(`"_definitions.json#`)), nil
}
