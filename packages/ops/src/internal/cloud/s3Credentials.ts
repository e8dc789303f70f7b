/**
 * Credentials by all the ways that AWS's own tools have: variables, files, single sign-on, programs, and the services
 * of machines and containers.
 */
import type { StoreReason } from "../../ObjectStore.ts"
import { defaultProvider } from "./awsLibraries.ts"

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface CredentialSource {
  /** Kept until they expire. */
  readonly find: () => Promise<Credentials>
  /** Has the next call look again: a person may have logged in meanwhile. */
  readonly forget: () => void
}

export const fixedCredentials = (credentials: Credentials): CredentialSource => ({
  find: () => Promise.resolve(credentials),
  forget: () => undefined
})

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

export const foundCredentials = (profile: string | undefined): CredentialSource => {
  const make = () => defaultProvider({ ignoreCache: true, logger: silent, ...profile === undefined ? {} : { profile } })
  let provider = make()
  return {
    find: () => provider(),
    forget: () => {
      provider = make()
    }
  }
}

/** What a provider says may hold what a program has printed, and how it was called: these are secrets. */
export const credentialReason = (error: unknown): StoreReason => {
  const text = error instanceof Error ? error.message : ""
  if (/expired/i.test(text)) return { _tag: "CredentialsExpired", code: "Expired" }
  const isKnown = /^(?:Could not (?:load|resolve)|Profile |Unable to find)[^\n]*$/.test(text)
  return {
    _tag: "CredentialsMissing",
    detail: isKnown ? text.slice(0, 200) : "what is to give them has failed, or they have expired"
  }
}
