// Pushes the lines of files by winston and winston-loki, protobuf in snappy: a stream per file, a millisecond between lines.
const fs = require('fs')
const path = require('path')
const winston = require('winston')
const LokiTransport = require('winston-loki')

// Lines between two pauses, in which the transport sends what it holds.
const BATCH = 5000

async function push (url, startNs, file) {
  const transport = new LokiTransport({
    host: url,
    json: false,
    labels: { client: 'winston', app: path.basename(file) },
    format: winston.format.printf((info) => info.message),
    interval: 0.05,
    replaceTimestamp: false,
    gracefulShutdown: false,
    onConnectionError: (error) => { console.error(error); process.exit(1) }
  })
  const logger = winston.createLogger({ level: 'info', transports: [transport] })
  const lines = fs.readFileSync(file, 'utf8').split('\n')
  if (lines[lines.length - 1] === '') lines.pop()
  const startMs = Number(BigInt(startNs) / 1000000n)
  for (const [index, line] of lines.entries()) {
    logger.log({ level: 'info', message: line, timestamp: startMs + index + 1 })
    if ((index + 1) % BATCH === 0) await transport.flush()
  }
  await new Promise((resolve) => logger.on('finish', resolve).end())
  await transport.flush()
  return lines.length
}

async function main () {
  const [url, startNs, ...files] = process.argv.slice(2)
  let pushed = 0
  for (const file of files) pushed += await push(url, startNs, file)
  console.log('winston:', pushed, 'lines pushed')
  process.exit(0)
}

main().catch((error) => { console.error(error); process.exit(1) })
