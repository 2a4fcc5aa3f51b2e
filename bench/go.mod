module github.com/sherd-storage/sherd/bench

go 1.26.0

require github.com/sherd-storage/sherd v0.0.0

replace github.com/sherd-storage/sherd => ../
