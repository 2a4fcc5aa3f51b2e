// Package index is the ordered index of a drive: a Pebble database with the
// order of keys, the options and the logger that this project gives it. It
// knows prefixes and suffixes of keys, and not what they mean.
//
// Open never lets the library log by itself or end the process. Everything
// else about errors is the business of the file system that it is given.
package index
