import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { startWatched } from "../../../test/watchedServer.ts"

const isInstalled = (folder: string) =>
  ["initdb", "pg_ctl", "postgres"].every((name) => fs.existsSync(path.join(folder, name)))

/** Folder with the programs of a Postgres server; undefined where none is installed. */
export const programs: string | undefined = [
  ...(process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== ""),
  ...fs.globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed()
].find((folder) => isInstalled(folder))

/** Postgres refuses to run as root. */
export const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

// Ends with the process that has started it, however that ends: its standard input is closed then.
const script = `
  trap '' INT TERM HUP
  cd "$1" && PATH="$2:$PATH"
  initdb -D data -U fanout -A trust -E UTF8 --locale=C --no-sync >log 2>&1 &&
    printf '%s\\n' "listen_addresses = ''" "unix_socket_directories = '$1'" "fsync = off" \\
      "autovacuum = off" "deadlock_timeout = '100ms'" >>data/postgresql.conf &&
    pg_ctl -D data -l log -w start >/dev/null && echo started || { cat log; echo failed; }
  cat >/dev/null
  pg_ctl -D data -m immediate -w stop >/dev/null 2>&1
  rm -rf "$1"
`

/** Starts a server in a temporary folder, reached through a socket there. Gives that folder, and what stops it. */
export const startPostgres = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pg-"))
  if (unprivileged.uid !== undefined) fs.chownSync(folder, unprivileged.uid, unprivileged.gid)
  return { at: folder, stop: await startWatched(script, [folder, programs ?? ""], unprivileged) }
}
