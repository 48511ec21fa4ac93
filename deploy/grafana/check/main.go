// Checks the dashboard: by the types of Grafana, and by the answers of a Prometheus that scrapes running relays.
//
//	check strict FILE                                        decodes it strictly
//	check answers FILE ADDRESS SECONDS GROUP=RELAY,RELAY...  asks for every panel of each deployment until all have answered
//	check topic BROKER NAME                                  has a broker create a topic
//
// deploy/grafana/test.sh runs it.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "strict":
		_, err := decode(arguments[1])
		return err
	case len(arguments) > 4 && arguments[0] == "answers":
		seconds, err := strconv.Atoi(arguments[3])
		if err != nil {
			return err
		}
		board, err := decode(arguments[1])
		if err != nil {
			return err
		}
		deployments, err := parseDeployments(arguments[4:])
		if err != nil {
			return err
		}
		asked := source{address: arguments[2], deadline: time.Now().Add(time.Duration(seconds) * time.Second)}
		return asked.check(board, deployments)
	case len(arguments) == 3 && arguments[0] == "topic":
		return createTopic(arguments[1], arguments[2])
	}
	return errors.New("unknown arguments; main.go lists them")
}
