package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// board is what is asked of Prometheus.
type board struct {
	queries   []query
	variables []dashboard.VariableModel
}

// query is one expression of a panel.
type query struct {
	panel, expression, legend string
	isInstant                 bool
}

// decode reads the dashboard by Grafana's types; unknown, missing and mistyped fields are errors.
func decode(path string) (board, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return board{}, err
	}
	plugins.RegisterDefaultPlugins()
	if err := strict(text); err != nil {
		return board{}, fmt.Errorf("%s: %w", path, err)
	}
	var decoded dashboard.Dashboard
	if err := json.Unmarshal(text, &decoded); err != nil {
		return board{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := decoded.Validate(); err != nil {
		return board{}, fmt.Errorf("%s: %w", path, err)
	}
	found := board{variables: decoded.Templating.List}
	for _, either := range decoded.Panels {
		if either.Panel == nil {
			continue
		}
		queries, err := queriesOf(*either.Panel)
		if err != nil {
			return board{}, err
		}
		found.queries = append(found.queries, queries...)
	}
	if len(found.queries) < 40 {
		return board{}, fmt.Errorf("%s: only %d expressions", path, len(found.queries))
	}
	return found, nil
}

// strict finds the errors of a strict decoding. What it decodes is not used: this version of Grafana's module returns an empty list of
// errors where there are none, takes that for an error itself, and leaves out queries and options. It does not look at the configuration
// of fields either.
func strict(text []byte) error {
	if err := noneIfEmpty(new(dashboard.Dashboard).UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	var parts struct {
		Panels []struct {
			Title       string
			FieldConfig json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for _, panel := range parts.Panels {
		if err := noneIfEmpty(new(dashboard.FieldConfigSource).UnmarshalJSONStrict(panel.FieldConfig)); err != nil {
			return fmt.Errorf("panel %q: fieldConfig: %w", panel.Title, err)
		}
	}
	return nil
}

func noneIfEmpty(err error) error {
	if list, ok := err.(cog.BuildErrors); ok && len(list) == 0 {
		return nil
	}
	return err
}

func queriesOf(panel dashboard.Panel) ([]query, error) {
	if panel.Title == nil || panel.Description == nil || *panel.Description == "" {
		return nil, fmt.Errorf("panel %v: no title or no description", panel.Id)
	}
	if panel.GridPos == nil || panel.GridPos.X+panel.GridPos.W > 24 {
		return nil, fmt.Errorf("panel %q: outside of the grid", *panel.Title)
	}
	if !isChosen(panel.Datasource) {
		return nil, fmt.Errorf("panel %q: the data source is not a variable", *panel.Title)
	}
	var queries []query
	for _, target := range panel.Targets {
		asked, ok := target.(*prometheus.Dataquery)
		if !ok {
			return nil, fmt.Errorf("panel %q: %T is not a query of Prometheus", *panel.Title, target)
		}
		if !isChosen(asked.Datasource) || asked.LegendFormat == nil || asked.Instant == nil {
			return nil, fmt.Errorf("panel %q: a query lacks the variable data source, legend or instant", *panel.Title)
		}
		queries = append(queries, query{*panel.Title, asked.Expr, *asked.LegendFormat, *asked.Instant})
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("panel %q: asks for nothing", *panel.Title)
	}
	return queries, nil
}

func isChosen(source *common.DataSourceRef) bool {
	return source != nil && source.Uid != nil && *source.Uid == "${datasource}" && source.Type != nil && *source.Type == "prometheus"
}
