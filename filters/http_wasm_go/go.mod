module httpwasm

go 1.24
