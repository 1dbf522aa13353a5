module extism_json_go

go 1.24

require extism v0.0.0

replace extism => ../extism_go
