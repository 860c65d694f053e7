package bookinfo

import (
	"net/http"
	"strconv"
)

// bookRatings is ratings' answer: stars, 1 to 5, by reviewer.
type bookRatings struct {
	ID      int            `json:"id"`
	Ratings map[string]int `json:"ratings"`
}

func newRatings() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health("Ratings"))
	mux.HandleFunc("GET /ratings/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || !isNumber(r.PathValue("id")) {
			writeError(w, http.StatusBadRequest, "the product's id must be a number")
			return
		}
		writeJSON(w, http.StatusOK, bookRatings{ID: id, Ratings: map[string]int{"Reviewer1": 5, "Reviewer2": 4}})
	})
	return mux
}
