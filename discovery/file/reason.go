package file

import (
	"github.com/sluicegate/sluice/config"
)

// What can be wrong with files and folders. What can be wrong with the text inside
// them is named by package config.
const (
	// ReasonMissing: a root is not there. What it last held stays in force.
	ReasonMissing config.Reason = "FolderMissing"
	// ReasonUnreadable: a file or folder cannot be read. What it last gave stays in force.
	ReasonUnreadable config.Reason = "Unreadable"
	// ReasonEmpty: a file that gave objects has no byte any more. They stay in force.
	ReasonEmpty config.Reason = "EmptyFile"
	// ReasonKept: a file has errors, so that the objects it gave before stay in force.
	ReasonKept config.Reason = "KeptLastVersion"
	// ReasonDuplicate: an object stands in more than one place.
	ReasonDuplicate config.Reason = "DuplicateObject"
	// ReasonLink: a symbolic link leads nowhere or to itself.
	ReasonLink config.Reason = "BrokenLink"
	// ReasonUnwatched: a folder cannot be watched, so that it is polled.
	ReasonUnwatched config.Reason = "Unwatched"
)

// fileKey and folderKey are what conditions about a file or folder as such are about.
func fileKey(path string) config.Key   { return config.Key{Kind: "File", Name: path} }
func folderKey(path string) config.Key { return config.Key{Kind: "Folder", Name: path} }
