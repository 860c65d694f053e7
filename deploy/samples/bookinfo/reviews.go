package bookinfo

import (
	"net/http"
)

// bookReviews is reviews' answer.
type bookReviews struct {
	ID string `json:"id"`
	// Podname is the instance that answered, for people who watch traffic shift.
	Podname     string   `json:"podname"`
	Clustername string   `json:"clustername"`
	Reviews     []review `json:"reviews"`
}

type review struct {
	Reviewer string  `json:"reviewer"`
	Text     string  `json:"text"`
	Rating   *rating `json:"rating,omitempty"`
}

// rating has either stars or an error.
type rating struct {
	Stars int    `json:"stars,omitempty"`
	Color string `json:"color,omitempty"`
	Error string `json:"error,omitempty"`
}

const ratingsUnavailable = "Ratings service is currently unavailable"

// newReviews returns the reviews service. Without a colour of stars it does not ask
// for ratings.
func newReviews(p Peers, color string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health("Reviews"))
	mux.HandleFunc("GET /reviews/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !isNumber(id) {
			writeError(w, http.StatusBadRequest, "the product's id must be a number")
			return
		}
		answer := bookReviews{ID: id, Podname: p.Instance, Clustername: "null", Reviews: []review{
			{
				Reviewer: "Reviewer1",
				Text: "I lost count of who had beaten whom for whose gold chain, and I have seldom been so happy to be lost. " +
					"The quickest two hours Shakespeare ever wrote.",
			},
			{
				Reviewer: "Reviewer2",
				Text: "One pair of twins would do for most playwrights; here are two, and a town full of creditors. " +
					"A slight thing beside the later plays, but it runs like clockwork.",
			},
		}}
		if color != "" {
			var given bookRatings
			_, err := p.get(r, p.Ratings+"/ratings/"+id, p.RatingsTimeout, propagate(r), &given)
			for i := range answer.Reviews {
				if err != nil {
					answer.Reviews[i].Rating = &rating{Error: ratingsUnavailable}
				} else {
					answer.Reviews[i].Rating = &rating{Stars: given.Ratings[answer.Reviews[i].Reviewer], Color: color}
				}
			}
		}
		writeJSON(w, http.StatusOK, answer)
	})
	return mux
}
