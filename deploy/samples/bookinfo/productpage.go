package bookinfo

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"sync"
)

//go:embed static
var static embed.FS

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	// outOfFive lists which of five stars are lit.
	"outOfFive": func(stars int) []bool {
		lit := make([]bool, 5)
		for i := range min(max(stars, 0), len(lit)) {
			lit[i] = true
		}
		return lit
	},
}).Parse(pageText))

// product is an entry of the catalogue, as /api/v1/products lists it.
type product struct {
	ID              int    `json:"id"`
	Title           string `json:"title"`
	DescriptionHTML string `json:"descriptionHtml"`
}

// products is the catalogue; a product's id is its index.
var products = []product{{
	ID:    0,
	Title: "The Comedy of Errors",
	DescriptionHTML: "Two pairs of identical twins, parted by a shipwreck as babies, spend one day in the same town without knowing it. " +
		"Dinners, debts, a gold chain and a good many blows go to the wrong man, until nobody in Ephesus trusts their own eyes.",
}}

// productpage is the service that people see.
type productpage struct {
	peers Peers
}

func newProductpage(p Peers) http.Handler {
	s := &productpage{peers: p}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/productpage", http.StatusFound)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("Product page is healthy"))
	})
	mux.HandleFunc("GET /productpage", s.page)
	mux.HandleFunc("GET /static/{file}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, static, "static/"+r.PathValue("file"))
	})
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("GET /logout", logout)
	mux.HandleFunc("GET /api/v1/products", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, products)
	})
	mux.HandleFunc("GET /api/v1/products/{id}", s.api(s.details))
	mux.HandleFunc("GET /api/v1/products/{id}/reviews", s.api(s.reviews))
	mux.HandleFunc("GET /api/v1/products/{id}/ratings", s.api(s.ratings))
	return mux
}

// view is what the page shows.
type view struct {
	Product      product
	User         string
	Details      *bookDetails
	DetailsError string
	Reviews      *bookReviews
	ReviewsError string
}

func (s *productpage) page(w http.ResponseWriter, r *http.Request) {
	v := view{Product: products[0], User: user(r)}
	id := strconv.Itoa(v.Product.ID)
	var both sync.WaitGroup
	both.Go(func() {
		if answer, f := s.details(r, id); f != nil {
			v.DetailsError = f.message
		} else {
			v.Details = answer.(*bookDetails)
		}
	})
	both.Go(func() {
		if answer, f := s.reviews(r, id); f != nil {
			v.ReviewsError = f.message
		} else {
			v.Reviews = answer.(*bookReviews)
		}
	})
	both.Wait()

	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		http.Error(w, "The page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
}

// failure is why a service behind the page gave nothing.
type failure struct {
	// status is what it answered; 0 where it did not.
	status  int
	message string
}

// answer asks the service behind it about a product.
type answer func(r *http.Request, id string) (any, *failure)

// headers returns what the page's calls carry: the request's tracing headers, and
// who signed in.
func (s *productpage) headers(r *http.Request) http.Header {
	h := propagate(r)
	if name := user(r); name != "" {
		h.Set("End-User", name)
	}
	return h
}

func (s *productpage) details(r *http.Request, id string) (any, *failure) {
	var d bookDetails
	status, err := s.peers.get(r, s.peers.Details+"/details/"+id, s.peers.PageTimeout, s.headers(r), &d)
	if err != nil {
		return nil, &failure{status, "Sorry, product details are currently unavailable for this book."}
	}
	return &d, nil
}

// reviews tries twice, as the original does: its walk-throughs count on it, where a
// delay that is longer than one try's timeout shows as an error after two.
func (s *productpage) reviews(r *http.Request, id string) (any, *failure) {
	var status int
	for range 2 {
		var b bookReviews
		var err error
		if status, err = s.peers.get(r, s.peers.Reviews+"/reviews/"+id, s.peers.PageTimeout, s.headers(r), &b); err == nil {
			return &b, nil
		}
	}
	return nil, &failure{status, "Sorry, product reviews are currently unavailable for this book."}
}

func (s *productpage) ratings(r *http.Request, id string) (any, *failure) {
	var b bookRatings
	status, err := s.peers.get(r, s.peers.Ratings+"/ratings/"+id, s.peers.PageTimeout, s.headers(r), &b)
	if err != nil {
		return nil, &failure{status, "Sorry, product ratings are currently unavailable for this book."}
	}
	return &b, nil
}

// api offers what a service says about a product as JSON.
func (s *productpage) api(ask answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if n, err := strconv.Atoi(id); err != nil || !isNumber(id) || n >= len(products) {
			writeError(w, http.StatusNotFound, "there is no product "+strconv.Quote(id))
			return
		}
		a, f := ask(r, id)
		if f != nil {
			writeError(w, max(f.status, http.StatusInternalServerError), f.message)
			return
		}
		writeJSON(w, http.StatusOK, a)
	}
}
