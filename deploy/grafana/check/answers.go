package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// job is the only one in the configuration of test.sh.
const job = "audit-relay"

// rateInterval is what Grafana fills in: four times the scrape interval of test.sh.
const rateInterval = "8s"

// shown is how far back the time series go.
const shown = 30 * time.Second

// source is a Prometheus.
type source struct {
	address  string
	deadline time.Time
}

// deployment is a consumer group and its relays, as Prometheus names them.
type deployment struct {
	group  string
	relays []string
}

// series is one of an answer: its labels, and the values that are numbers.
type series struct {
	Labels map[string]string
	Values []string
}

func parseDeployments(arguments []string) (deployments []deployment, err error) {
	for _, argument := range arguments {
		group, relays, ok := strings.Cut(argument, "=")
		if !ok {
			return nil, fmt.Errorf("%s: expected GROUP=RELAY,RELAY", argument)
		}
		deployments = append(deployments, deployment{group, strings.Split(relays, ",")})
	}
	return deployments, nil
}

func fill(expression, group string) string {
	return strings.NewReplacer("$job", job, "$group", group, "$instance", ".+", "$__rate_interval", rateInterval).Replace(expression)
}

func (source source) check(board board, deployments []deployment) error {
	for _, deployment := range deployments {
		if err := source.awaitAll(board, deployment); err != nil {
			return err
		}
	}
	for _, query := range board.queries {
		if found, err := source.ask(query, fill(query.expression, "nobody"), time.Now()); err != nil || len(found) > 0 {
			return errors.Join(err, fmt.Errorf("panel %q: shows %v of no deployment: %s", query.panel, found, query.expression))
		}
	}
	if err := source.checkVariables(board, deployments); err != nil {
		return err
	}
	// All have answered about this moment, and what is scraped later does not change the answers.
	at := time.Now()
	if err := source.awaitScrapes(at); err != nil {
		return err
	}
	for index, deployment := range deployments {
		other := deployments[(index+1)%len(deployments)]
		if err := source.compare(board, deployment, other, at); err != nil {
			return err
		}
	}
	fmt.Printf("%d expressions have answered for each of %d deployments\n", len(board.queries), len(deployments))
	return nil
}

// awaitAll asks until every expression has answered.
func (source source) awaitAll(board board, deployment deployment) error {
	for {
		var problems []string
		for _, query := range board.queries {
			found, err := source.ask(query, fill(query.expression, deployment.group), time.Now())
			if err != nil {
				return err
			}
			if problem := problemOf(query, found); problem != "" {
				problems = append(problems, fmt.Sprintf("panel %q, group %s: %s: %s", query.panel, deployment.group, problem, query.expression))
			}
		}
		if len(problems) == 0 {
			return nil
		}
		if time.Now().After(source.deadline) {
			return errors.New(strings.Join(problems, "\n"))
		}
		time.Sleep(time.Second)
	}
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// problemOf requires a number, and the labels that the legend shows.
func problemOf(query query, found []series) string {
	if len(found) == 0 {
		return "no data"
	}
	for _, label := range legendLabel.FindAllStringSubmatch(query.legend, -1) {
		for _, series := range found {
			if series.Labels[label[1]] == "" {
				return "a series has no label " + label[1]
			}
		}
	}
	return ""
}

// awaitScrapes waits until every relay was scraped after this moment.
func (source source) awaitScrapes(moment time.Time) error {
	for {
		late, err := source.ask(query{isInstant: true}, "timestamp(up) <= "+unix(moment), time.Now())
		if err != nil || len(late) == 0 {
			return err
		}
		if time.Now().After(source.deadline) {
			return fmt.Errorf("not scraped since %v: %v", moment, late)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// compare requires that to choose a group is to choose its relays, and no others.
func (source source) compare(board board, deployment, other deployment, at time.Time) error {
	different := 0
	for _, query := range board.queries {
		query.isInstant = true
		byGroup, err := source.ask(query, fill(query.expression, deployment.group), at)
		if err != nil {
			return err
		}
		chosen := fmt.Sprintf("group=%q", deployment.group)
		ofRelays := func(relays []string) string {
			return strings.ReplaceAll(fill(query.expression, deployment.group), chosen, fmt.Sprintf("instance=~%q", strings.Join(relays, "|")))
		}
		byRelays, err := source.ask(query, ofRelays(deployment.relays), at)
		if err != nil {
			return err
		}
		if len(byGroup) == 0 || !reflect.DeepEqual(byGroup, byRelays) {
			return fmt.Errorf("panel %q: the group %s shows %v, its relays %v", query.panel, deployment.group, byGroup, byRelays)
		}
		ofOthers, err := source.ask(query, ofRelays(other.relays), at)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(byGroup, ofOthers) {
			different++
		}
	}
	// Two deployments without a fault show the same zeros in most panels, and by chance the same figures in some others.
	if different < len(board.queries)/4 {
		return fmt.Errorf("only %d of %d panels tell %s from %s", different, len(board.queries), deployment.group, other.group)
	}
	return nil
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// checkVariables requires that the variables offer exactly the job, the groups, and the relays of a group.
func (source source) checkVariables(board board, deployments []deployment) error {
	groups := []string{}
	for _, deployment := range deployments {
		groups = append(groups, deployment.group)
	}
	expected := map[string][]string{"job": {job}, "group": groups, "instance": deployments[0].relays}
	for _, variable := range board.variables {
		if variable.Definition == nil {
			continue
		}
		parts := labelValues.FindStringSubmatch(*variable.Definition)
		if parts == nil {
			return fmt.Errorf("variable %s: %s", variable.Name, *variable.Definition)
		}
		var values []string
		match := url.Values{"match[]": {fill(parts[1], deployments[0].group)}}
		if err := source.get("/api/v1/label/"+parts[2]+"/values", match, &values); err != nil {
			return err
		}
		wanted := slices.Sorted(slices.Values(expected[variable.Name]))
		if !slices.Equal(slices.Sorted(slices.Values(values)), wanted) {
			return fmt.Errorf("variable %s: offers %v, expected %v", variable.Name, values, wanted)
		}
		delete(expected, variable.Name)
	}
	if len(expected) > 0 {
		return fmt.Errorf("no variables %v", slices.Collect(maps.Keys(expected)))
	}
	return nil
}

// ask returns the series that have a number, sorted.
func (source source) ask(query query, expression string, at time.Time) ([]series, error) {
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  []any
			Values [][]any
		}
	}
	path, form := "/api/v1/query", url.Values{"query": {expression}, "time": {unix(at)}}
	if !query.isInstant {
		path = "/api/v1/query_range"
		form = url.Values{"query": {expression}, "start": {unix(at.Add(-shown))}, "end": {unix(at)}, "step": {"2"}}
	}
	if err := source.get(path, form, &answer); err != nil {
		return nil, fmt.Errorf("panel %q: %w", query.panel, err)
	}
	var found []series
	for _, result := range answer.Result {
		one := series{Labels: result.Metric}
		for _, pair := range append(result.Values, result.Value) {
			if len(pair) == 2 && pair[1] != "NaN" {
				one.Values = append(one.Values, fmt.Sprint(pair[1]))
			}
		}
		if len(one.Values) > 0 {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(left, right series) int {
		return strings.Compare(fmt.Sprint(left.Labels), fmt.Sprint(right.Labels))
	})
	return found, nil
}

func unix(at time.Time) string { return fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000) }

func (source source) get(path string, form url.Values, into any) error {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get("http://" + source.address + path + "?" + form.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Status != "success" {
		return errors.Join(err, fmt.Errorf("%s: %s", form.Get("query"), answer.Error))
	}
	return json.Unmarshal(answer.Data, into)
}
