/**
 * Shows what `fanout doctor` tells of the machine that the server runs on.
 */
import { useEffect, useState } from "preact/hooks"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { type Examination, examination } from "./client.ts"
import { Limits } from "./Limits.tsx"
import { Processes } from "./Processes.tsx"
import { Section } from "./Section.tsx"
import { count, printable } from "./shown.ts"
import { Sign } from "./StateSign.tsx"

const signs = { ok: "done", lacking: "partial", broken: "failed" } as const

const Found = ({ checks, pools }: Examination) => (
  <>
    <Section title="Checks">
      <table>
        <tbody>
          {checks.map(({ found, state, what }) => (
            <tr key={what}>
              <td>
                <span class={`state ${signs[state]}`}>
                  <Sign look={signs[state]} />
                  {state}
                </span>
              </td>
              <th scope="row">{printable(what)}</th>
              <td class="wrap">{printable(found)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
    <Section title="Pools">
      <table>
        <thead>
          <tr>
            <th>Pool</th>
            <th class="number">Size</th>
            <th>Why</th>
          </tr>
        </thead>
        <tbody>
          {pools.map(({ name, size, why }) => (
            <tr key={name}>
              <th scope="row">{printable(name)}</th>
              <td class="number">{count(size)}</td>
              <td class="wrap">{printable(why)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  </>
)

const isEmpty = ({ checks, pools }: Examination): boolean => checks.length === 0 && pools.length === 0

/** It is looked at once: to look takes time, and a machine changes seldom. */
export const DoctorPage = () => {
  const [found, setFound] = useState<Examination | Error>()
  const [tries, setTries] = useState(0)
  useEffect(() => {
    setFound(undefined)
    const left = new AbortController()
    examination(left.signal).then(setFound, (error) => left.signal.aborted || setFound(error))
    return () => left.abort()
  }, [tries])
  return (
    <main>
      <h1>Doctor</h1>
      {found === undefined && <Waiting />}
      {found instanceof Error && (
        <Broken error={found}>
          <button type="button" onClick={() => setTries(tries + 1)}>Try again</button>
        </Broken>
      )}
      {found !== undefined && !(found instanceof Error) && (isEmpty(found)
        ? <Blank title="Nothing is examined here." />
        : <Found {...found} />)}
      <Processes />
      <Limits />
    </main>
  )
}
