package role

// reopenLogs opens the files of access logs anew whenever somebody says so, until stop.
func (p *process) reopenLogs(stop <-chan struct{}) {
	for {
		select {
		case <-p.o.ReopenLogs:
			p.o.Logger.Info("files of access logs are opened anew")
			p.telemetry.ReopenLogs()
		case <-stop:
			return
		}
	}
}
