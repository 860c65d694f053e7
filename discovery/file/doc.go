// Package file finds configuration in folders of YAML and JSON and keeps watching
// them. [Watch] hands on what is there, then every change as a [config.Delta];
// [Load] reads once, for commands that start, answer and end.
//
// It owns which files count, when a write is taken to be finished, and what stays
// in force while a file or folder is broken or away. It must not know what objects
// mean: the text goes through the parser of package config and is handed on.
//
// # What counts
//
// Files named *.yaml, *.yml and *.json, in the folders named and all folders below
// them. Names that begin with a dot or with #, or end with ~ or #, are left out:
// they belong to editors, to version control or to the kubelet. Symbolic links to
// files and folders are followed; what can be reached in two ways is read once. A
// root may also be a single file, whatever its name.
//
// # What stays in force
//
//   - A file that does not parse, cannot be read, or is empty keeps the objects it
//     gave before, all of them. One that never gave any contributes what does parse.
//     (A file without a single byte is most often about to be written: a shell
//     truncates before the command behind it prints. One that holds only a comment
//     is complete, and gives nothing.)
//   - A file that is deleted takes its objects along, and so does a folder that is
//     there, can be read and is empty.
//   - An object with an error that leaves no doubt which object it is (a label that
//     is no string) keeps its own last version; the rest of its file is taken.
//   - A root that is missing, a folder that cannot be listed and a link that leads
//     nowhere change nothing.
//   - A root of whose files not one parses changes nothing: files that disappeared
//     at the same time keep their objects too.
//   - Of two files that hold the same object, the one whose path sorts first has it.
//
// # When a change is taken up
//
// Once nothing more has happened for 15 ms, and at the latest 50 ms after the first
// event. A change that takes objects away, or does not parse, waits until its file has
// been quiet for 40 ms, so that a file that is deleted and written again, or a folder
// that is swapped for another, is not seen half-way. Other changes of the same moment wait
// for it, 60 ms at most, so that an object moves from file to file in one step.
//
// # What a change costs
//
// An event leads to the file that it names. Inside a file only documents whose text
// changed are parsed; objects of the others keep their pointers, whatever line they
// stand at now (the Delta's Moved says it). Everything is looked at, but only read
// where time, size or identity changed, after events that concern folders or links,
// after lost events, and once in Options.Rescan.
//
// Folders that are only on the way, above a root or to what a link leads to, are watched
// for names that come, go and move. On Linux writes there cost nothing, so that a log may
// lie beside the configuration's folder; other systems tell of them all the same.
package file
