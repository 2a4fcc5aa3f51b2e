package wire

import "encoding/xml"

// PostResponse is the answer to a form that wants status 201.
type PostResponse struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}
