// A server around an Extism plugin, as it is written by hand: Fiber, and the Go SDK.
//
//	peer -listen ADDRESS -how mutex|channel|pool -wasm FILE -function NAME [-config KEY=VALUE] [-host PATTERN]
//
// mutex: one plugin that all requests share. channel: a plugin for each processor. pool: as many as there are calls at once,
// in a sync.Pool.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"runtime"
	"strings"
	"sync"

	extism "github.com/extism/go-sdk"
	"github.com/gofiber/fiber/v2"
)

// Gives a plugin to what is called with it; nobody else uses it meanwhile.
type lender func(use func(*extism.Plugin) error) error

func mutex(compiled *extism.CompiledPlugin) (lender, error) {
	plugin, err := instance(compiled)
	var lock sync.Mutex
	return func(use func(*extism.Plugin) error) error {
		lock.Lock()
		defer lock.Unlock()
		return use(plugin)
	}, err
}

func channel(compiled *extism.CompiledPlugin) (lender, error) {
	count := runtime.GOMAXPROCS(0)
	free := make(chan *extism.Plugin, count)
	for range count {
		plugin, err := instance(compiled)
		if err != nil {
			return nil, err
		}
		free <- plugin
	}
	return func(use func(*extism.Plugin) error) error {
		plugin := <-free
		defer func() { free <- plugin }()
		return use(plugin)
	}, nil
}

func pool(compiled *extism.CompiledPlugin) (lender, error) {
	var free sync.Pool
	return func(use func(*extism.Plugin) error) error {
		plugin, ok := free.Get().(*extism.Plugin)
		if !ok {
			var err error
			if plugin, err = instance(compiled); err != nil {
				return err
			}
		}
		defer free.Put(plugin)
		return use(plugin)
	}, nil
}

func instance(compiled *extism.CompiledPlugin) (*extism.Plugin, error) {
	return compiled.Instance(context.Background(), extism.PluginInstanceConfig{})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address")
	how := flag.String("how", "mutex", "how requests share plugins: mutex, channel or pool")
	wasm := flag.String("wasm", "", "file")
	function := flag.String("function", "", "export")
	config := flag.String("config", "", "key=value for the plugin")
	host := flag.String("host", "", "hosts that the plugin may call")
	flag.Parse()
	log.Fatal(serve(*listen, *how, *wasm, *function, *config, *host))
}

func serve(listen, how, wasm, function, config, host string) error {
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: wasm}}}
	if key, value, ok := strings.Cut(config, "="); ok {
		manifest.Config = map[string]string{key: value}
	}
	if host != "" {
		manifest.AllowedHosts = []string{host}
	}
	options := extism.PluginConfig{EnableWasi: true}
	compiled, err := extism.NewCompiledPlugin(context.Background(), manifest, options, nil)
	if err != nil {
		return err
	}
	ways := map[string]func(*extism.CompiledPlugin) (lender, error){"mutex": mutex, "channel": channel, "pool": pool}
	way, ok := ways[how]
	if !ok {
		return errors.New("-how is mutex, channel or pool")
	}
	lend, err := way(compiled)
	if err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: 4 << 20})
	app.Post("/bench", func(c *fiber.Ctx) error {
		return lend(func(plugin *extism.Plugin) error {
			code, output, err := plugin.Call(function, c.Body())
			if err != nil {
				return err
			}
			if code != 0 {
				return fmt.Errorf("the plugin has returned %d", code)
			}
			// A copy: the output lies in the plugin's memory.
			_, err = c.Write(output)
			return err
		})
	})
	return app.Listen(listen)
}
