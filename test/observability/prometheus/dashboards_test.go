package prometheus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dashboard is what of a Grafana dashboard is asked of Prometheus.
type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Panels     []panel
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Title   string `json:"title"`
	Type    string `json:"type"`
	Panels  []panel
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// all returns a panel with those inside.
func (p panel) all() []panel {
	list := []panel{p}
	for _, inner := range p.Panels {
		list = append(list, inner.all()...)
	}
	return list
}

// chosen are the variables of our dashboards as somebody might choose them.
var chosen = strings.NewReplacer("$namespace", "default", "$service", "reviews.default.svc.cluster.local", "$pod", ".+", "$__rate_interval", "1m", "$__range", "5m")

// dashboards holds the queries of our dashboards to data.
func dashboards(t *testing.T, s *server) {
	files, err := filepath.Glob("../../../deploy/dashboards/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d dashboards: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d.UID == "" || d.Title == "" || len(d.Panels) == 0 {
			t.Errorf("%s has no uid, title or panels", file)
		}
		for _, outer := range d.Panels {
			for _, p := range outer.all() {
				for _, target := range p.Targets {
					t.Run(d.Title+"/"+p.Title, func(t *testing.T) {
						await(t, func() error { return s.answered(chosen.Replace(target.Expr)) })
					})
				}
			}
		}
		for _, v := range d.Templating.List {
			q, isText := v.Query.(string)
			if v.Type != "query" || !isText {
				continue
			}
			t.Run(d.Title+"/$"+v.Name, func(t *testing.T) {
				await(t, func() error { return s.answered(labelQuery(t, q)) })
			})
		}
	}
}

// labelQuery returns the selector of Grafana's label_values(SELECTOR, LABEL).
func labelQuery(t *testing.T, q string) string {
	t.Helper()
	inner, ok := strings.CutPrefix(q, "label_values(")
	at := strings.LastIndexByte(inner, ',')
	if !ok || at < 0 {
		t.Fatalf("the variable asks %q, want label_values(SELECTOR, LABEL)", q)
	}
	return chosen.Replace(inner[:at])
}
