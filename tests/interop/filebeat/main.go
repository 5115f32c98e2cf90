// SPDX-License-Identifier: Apache-2.0

// Filebeat's own input for NetFlow and IPFIX, alone: it listens, decodes and makes events as in Filebeat, and they are written to standard
// output, one a line, where Filebeat would send them to its output. The input's settings are those of a filebeat.yml.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/elastic/beats/v7/filebeat/channel"
	"github.com/elastic/beats/v7/filebeat/input"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/x-pack/filebeat/input/netflow"
)

// lines is the outlet: an event is a line.
type lines struct {
	sync.Mutex
	out  *json.Encoder
	done chan struct{}
}

func (l *lines) Connect(*common.Config) (channel.Outleter, error) { return l, nil }

func (l *lines) ConnectWith(*common.Config, beat.ClientConfig) (channel.Outleter, error) {
	return l, nil
}

func (l *lines) Close() error { return nil }

func (l *lines) Done() <-chan struct{} { return l.done }

func (l *lines) OnEvent(event beat.Event) bool {
	l.Lock()
	defer l.Unlock()
	if err := l.out.Encode(event.Fields); err != nil {
		log.Fatal(err)
	}
	return true
}

// settings are those of the first input in a filebeat.yml, but for where to listen, and in which folder its files of definitions are.
func settings(path, folder, host string) (*common.Config, error) {
	file, err := common.LoadFile(path)
	if err != nil {
		return nil, err
	}
	config, err := file.Child("filebeat.inputs", 0)
	if err != nil {
		return nil, err
	}
	count, err := config.CountField("custom_definitions")
	if err != nil {
		return nil, err
	}
	for i := 0; i < count; i++ {
		name, err := config.String("custom_definitions", i)
		if err != nil {
			return nil, err
		}
		if err := config.SetString("custom_definitions", i, filepath.Join(folder, filepath.Base(name))); err != nil {
			return nil, err
		}
	}
	return config, config.SetString("host", -1, host)
}

func main() {
	options := flag.NewFlagSet("filebeat", flag.ExitOnError) // Filebeat's libraries have theirs in the usual one
	path := options.String("c", "filebeat.yml", "configuration file")
	folder := options.String("definitions", ".", "folder of its custom_definitions")
	host := options.String("host", "127.0.0.1:2055", "where to listen")
	_ = options.Parse(os.Args[1:])

	if err := logp.Configure(logp.Config{Level: logp.InfoLevel, ToStderr: true}); err != nil {
		log.Fatal(err)
	}
	config, err := settings(*path, *folder, *host)
	if err != nil {
		log.Fatal(err)
	}
	outlet := &lines{out: json.NewEncoder(os.Stdout), done: make(chan struct{})}
	in, err := netflow.NewInput(config, outlet, input.Context{})
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	in.Run()
	<-stop
	in.Stop()
}
