/**
 * Lists the jobs that have failed, in whole or in part, with the causes and one example of each, by the API of
 * `fanout ui`. Any program that knows HTTP can do the same; `GET /api/openapi.json` describes all that there is.
 *
 * Start `fanout ui --no-open --read-only`, then, with the address that it has told, which is of use once:
 * `node examples/ui-api.ts 'http://127.0.0.1:4180/#code=…'`
 */

interface Job {
  readonly id: string
  readonly title: string
  readonly counted: string
  readonly error: string | null
  readonly progress: { readonly causes: Readonly<Record<string, number>> }
}

interface JobPage {
  readonly jobs: ReadonlyArray<Job>
  readonly next: string | null
}

interface ItemPage {
  readonly items: ReadonlyArray<{ readonly key: string; readonly message: string }>
}

const [, , given = ""] = process.argv
const address = new URL(given)

/** Exchanges the code of the address for a token, which is sent as a header, and so gets into no log and no history. */
const exchange = async (): Promise<string> => {
  const headers = { authorization: `Bearer ${new URLSearchParams(address.hash.slice(1)).get("code")}` }
  const response = await fetch(new URL("session", address), { method: "POST", headers })
  if (!response.ok) throw new Error(`The address was used before, or its server is gone: ${response.status}`)
  const { token }: { readonly token: string } = await response.json()
  return token
}

const token = await exchange()

/** Asks the server. */
const get = async <A>(path: string, query: Readonly<Record<string, string>>): Promise<A> => {
  const response = await fetch(new URL(`${path}?${new URLSearchParams(query)}`, address), {
    headers: { authorization: `Bearer ${token}` }
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API is described by its own document
  return await response.json() as A
}

/** All jobs in a state, page by page, the newest first. */
async function* jobsIn(state: string): AsyncGenerator<Job> {
  let before: string | null = ""
  while (before !== null) {
    const page: JobPage = await get("api/jobs", { state, limit: "200", ...before === "" ? {} : { before } })
    yield* page.jobs
    before = page.next
  }
}

for (const state of ["CompletedWithErrors", "Failed"]) {
  for await (const { counted, error, id, progress, title } of jobsIn(state)) {
    process.stdout.write(`${id}  ${title}: ${error ?? counted}\n`)
    for (const [cause, count] of Object.entries(progress.causes)) {
      const { items: [item] } = await get<ItemPage>(`api/jobs/${id}/items`, { cause, limit: "1" })
      process.stdout.write(`  ${count} ${cause}${item === undefined ? "" : `, such as ${item.key}: ${item.message}`}\n`)
    }
  }
}
