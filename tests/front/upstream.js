// An API that is not Python and knows nothing of OAuth. It prints the port that it listens on.
'use strict'
const http = require('http')

const MIB = 1024 * 1024

const places = {
  // What arrived, as it arrived.
  '/api/seen': (request, response) => {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.rawHeaders }))
  },
  // The body, while it arrives.
  '/api/echo': (request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' })
    request.pipe(response)
  },
  // How many bytes arrived.
  '/api/count': (request, response) => {
    let bytes = 0
    request.on('data', (piece) => { bytes += piece.length })
    request.on('end', () => response.end(String(bytes)))
  },
  // As many MiB as the query says.
  '/api/bytes': (request, response, query) => {
    let left = Number(query.get('mib'))
    const piece = Buffer.alloc(MIB, 'x')
    response.writeHead(200, { 'Content-Length': left * MIB })
    const next = () => {
      while (left-- > 0) if (!response.write(piece)) return response.once('drain', next)
      response.end()
    }
    next()
  },
  // An event each so many milliseconds, and a line on stderr when the client has gone.
  '/api/events': (request, response, query) => {
    let number = 0
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    const timer = setInterval(() => response.write(`data: ${number++}\n\n`), Number(query.get('every') || 20))
    request.on('close', () => { clearInterval(timer); process.stderr.write('gone\n') })
  },
  // Part of a file, as static servers do it.
  '/api/file': (request, response) => {
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range)
    const body = '0123456789'.slice(Number(first), Number(last) + 1)
    response.writeHead(206, { 'Content-Range': `bytes ${first}-${last}/10`, 'Content-Length': body.length })
    response.end(body)
  },
  // Two cookies, a redirect to the address it believes to have, and trailers.
  '/api/moved': (request, response) => {
    const cookies = ['a=1', 'b=2', '__Host-grantwell=stolen']
    response.writeHead(302, { Location: `http://${request.headers.host}/api/seen?a=b`, 'Set-Cookie': cookies })
    response.end()
  },
  '/api/trailers': (request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' })
    response.write('body')
    response.addTrailers({ 'X-Sum': '1' })
    response.end()
  },
  '/api/die': (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain' })
    response.write('the beginning', () => process.exit(1))
  },
}

const server = http.createServer((request, response) => {
  const [path, query] = request.url.split('?')
  const place = places[path]
  if (place) return place(request, response, new URLSearchParams(query))
  response.writeHead(404)
  response.end('nothing')
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
