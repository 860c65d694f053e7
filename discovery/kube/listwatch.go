package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/sluicegate/sluice/config/jsonscan"
)

// listerWatcher lists and watches one resource for a reflector.
type listerWatcher struct {
	api      rest.Interface
	resource *resource
	version  string
	// namespace is the one to look in, fields a field selector; empty for all. name is the one
	// object that it is about; empty for many.
	namespace, fields, name string
	// got is the version of the one object, as it was read last.
	got string
	// told is called with the outcome of each request.
	told func(error)
}

// IsWatchListSemanticsUnSupported has the reflector ask for lists: these are read without
// being held in memory twice.
func (l *listerWatcher) IsWatchListSemanticsUnSupported() bool { return true }

// List lists without a context; a reflector does not call it.
func (l *listerWatcher) List(o metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), o)
}

// Watch watches without a context; a reflector does not call it.
func (l *listerWatcher) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), o)
}

// ListWithContext returns one page of the list.
func (l *listerWatcher) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	var list *items
	var err error
	if l.name != "" {
		list, err = l.get(ctx)
	} else {
		list, err = l.list(ctx, o)
	}
	l.told(err)
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (l *listerWatcher) list(ctx context.Context, o metav1.ListOptions) (*items, error) {
	body, err := l.request(o, "List").Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	list, reader := &items{}, newReader(l.resource, l.version)
	metadata, err := readList(body, func(text []byte) error {
		item, err := reader.read(text)
		if err == nil {
			list.Items = append(list.Items, item)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, json.Unmarshal(metadata, &list.ListMeta)
}

// get returns the one object as a list, which is empty where there is none. It needs no right
// to list.
func (l *listerWatcher) get(ctx context.Context) (*items, error) {
	text, err := l.api.Get().AbsPath(l.resource.path(l.version, l.namespace), l.name).SetHeader("Accept", "application/json").Do(ctx).Raw()
	l.got = ""
	switch {
	case apierrors.IsNotFound(err):
		return &items{}, nil
	case err != nil:
		return nil, err
	}
	i, err := newReader(l.resource, l.version).read(text)
	if err != nil {
		return nil, err
	}
	l.got = i.ResourceVersion
	return &items{ListMeta: metav1.ListMeta{ResourceVersion: i.ResourceVersion}, Items: []*item{i}}, nil
}

// WatchWithContext returns the changes from a version on.
func (l *listerWatcher) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	// An object's own version may be older than anything that the API server remembers: it would
	// refuse each watch from there, and be asked for object and watch without a pause. So the
	// watch begins with the object as it is now.
	now := l.name != "" && o.ResourceVersion == l.got
	if now {
		o.ResourceVersion = ""
	}
	body, err := l.request(o, "").Param("watch", "true").Stream(ctx)
	l.told(err)
	if err != nil {
		return nil, err
	}
	decoder := l.decoder(body)
	if now {
		if decoder.gone, err = l.gone(ctx); err != nil {
			body.Close()
			return nil, err
		}
	}
	return watch.NewStreamWatcherWithLogger(klog.FromContext(ctx), decoder, apierrors.NewClientErrorReporter(http.StatusInternalServerError, "get", "ClientWatchDecoding")), nil
}

// decoder reads the events of a watch.
func (l *listerWatcher) decoder(body io.ReadCloser) *eventDecoder {
	return &eventDecoder{body: body, events: newStream(body, watchBuffer), reader: newReader(l.resource, l.version)}
}

// gone returns the one object where it is not there. A watch that begins with what there is does
// not tell that something went before.
func (l *listerWatcher) gone(ctx context.Context) (*item, error) {
	there, err := l.get(ctx)
	if err != nil || len(there.Items) > 0 {
		return nil, err
	}
	gone := &item{}
	gone.Namespace, gone.Name = l.namespace, l.name
	return gone, nil
}

// request returns what a list and a watch have in common.
func (l *listerWatcher) request(o metav1.ListOptions, suffix string) *rest.Request {
	r := l.api.Get().AbsPath(l.resource.path(l.version, l.namespace))
	set := func(name, value string) {
		if value != "" {
			r.Param(name, value)
		}
	}
	set("fieldSelector", l.fields)
	set("resourceVersion", o.ResourceVersion)
	set("resourceVersionMatch", string(o.ResourceVersionMatch))
	set("continue", o.Continue)
	if o.Limit > 0 {
		set("limit", strconv.FormatInt(o.Limit, 10))
	}
	if o.TimeoutSeconds != nil {
		set("timeoutSeconds", strconv.FormatInt(*o.TimeoutSeconds, 10))
	}
	if o.AllowWatchBookmarks {
		set("allowWatchBookmarks", "true")
	}
	accept := "application/json"
	if l.resource.metadataOnly {
		accept += ";as=PartialObjectMetadata" + suffix + ";g=meta.k8s.io;v=v1"
	}
	return r.SetHeader("Accept", accept)
}

// eventDecoder reads the events of a watch.
type eventDecoder struct {
	body   io.ReadCloser
	events *stream
	reader *reader
	// gone is an object that has gone, which is told first; nil for none.
	gone *item
}

// Close ends the request.
func (d *eventDecoder) Close() { d.body.Close() }

// Decode returns the next event.
func (d *eventDecoder) Decode() (watch.EventType, runtime.Object, error) {
	if gone := d.gone; gone != nil {
		d.gone = nil
		return watch.Deleted, gone, nil
	}
	text, err := d.events.value()
	if err != nil {
		return "", nil, err
	}
	var kind string
	var object []byte
	s := jsonscan.Scan{Text: text}
	ok := s.Object(func(name []byte) (ok bool) {
		switch string(name) {
		case "type":
			kind, ok = d.reader.text(&s, true)
		case "object":
			object, ok = s.Value()
		default:
			_, ok = s.Value()
		}
		return ok
	})
	switch event := watch.EventType(kind); {
	case !ok:
		return "", nil, errJSON
	case event == watch.Error:
		status := &metav1.Status{}
		err := json.Unmarshal(object, status)
		return event, status, err
	case event == watch.Bookmark:
		bookmark := &metav1.PartialObjectMetadata{}
		err := json.Unmarshal(object, bookmark)
		return event, &item{ObjectMeta: bookmark.ObjectMeta}, err
	default:
		item, err := d.reader.read(object)
		return event, item, err
	}
}
