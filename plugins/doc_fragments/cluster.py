# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module reaches a Kubernetes API server, described once, by kubernetes.core's names."""

from __future__ import annotations


class ModuleDocFragment:
    """The options are those of module_utils/_cluster/connection.py, one to one."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The kubeconfig, as the path of a file on the machine where the module runs, or as a
        dictionary. Several files are joined by V(:), as in E(KUBECONFIG).
      - E(K8S_AUTH_KUBECONFIG) stands for it. Without it, E(KUBECONFIG), C(~/.kube/config) and the
        service account of the pod that this runs in are tried, in this order.
    type: raw
  context:
    description:
      - Name of a context of the kubeconfig. Without it, the file's current one.
      - E(K8S_AUTH_CONTEXT) stands for it.
    type: str
  host:
    description:
      - URL of the API server, instead of the kubeconfig's.
      - Beside O(api_key), O(username) and O(password), or O(client_cert) and O(client_key), no
        kubeconfig is looked for unless O(kubeconfig) or O(context) names one.
      - E(K8S_AUTH_HOST) stands for it.
    type: str
  api_key:
    description:
      - Bearer token, instead of the kubeconfig's credentials.
      - E(K8S_AUTH_API_KEY) stands for it.
    type: str
  username:
    description:
      - User, for an API server behind something that takes HTTP Basic authentication. Kubernetes
        itself does not.
      - E(K8S_AUTH_USERNAME) stands for it.
    type: str
  password:
    description:
      - Password of O(username).
      - E(K8S_AUTH_PASSWORD) stands for it.
    type: str
  validate_certs:
    description:
      - Whether the API server's certificate is checked. The kubeconfig decides where this is not
        set.
      - E(K8S_AUTH_VALIDATE_CERTS) or E(K8S_AUTH_VERIFY_SSL) stands for it.
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - File of the certificates that the API server's own is checked with.
      - E(K8S_AUTH_CA_CERT) or E(K8S_AUTH_SSL_CA_CERT) stands for it.
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - File of a client certificate.
      - E(K8S_AUTH_CLIENT_CERT) or E(K8S_AUTH_CERT_FILE) stands for it.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - File of the client certificate's key.
      - E(K8S_AUTH_CLIENT_KEY) or E(K8S_AUTH_KEY_FILE) stands for it.
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of an HTTP proxy.
      - E(K8S_AUTH_PROXY) stands for it.
    type: str
  no_proxy:
    description:
      - Names that are reached without the proxy, separated by commas.
      - E(K8S_AUTH_NO_PROXY) stands for it.
    type: str
  proxy_headers:
    description: Headers for the proxy.
    type: dict
    suboptions:
      proxy_basic_auth:
        description:
          - V(USER:PASSWORD), for the header C(Proxy-Authorization).
          - E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH) stands for it.
        type: str
      basic_auth:
        description:
          - V(USER:PASSWORD), for the header C(Authorization).
          - E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH) stands for it.
        type: str
      user_agent:
        description:
          - The header C(User-Agent).
          - E(K8S_AUTH_PROXY_HEADERS_USER_AGENT) stands for it.
        type: str
  persist_config:
    description:
      - Whether tokens that had to be refreshed (OIDC) are kept in their kubeconfig.
      - E(K8S_AUTH_PERSIST_CONFIG) stands for it.
    type: bool
  impersonate_user:
    description:
      - User to act as.
      - E(K8S_AUTH_IMPERSONATE_USER) stands for it.
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of; O(impersonate_user) is needed beside them.
      - E(K8S_AUTH_IMPERSONATE_GROUPS) stands for it, separated by commas.
    type: list
    elements: str
requirements:
  - kubernetes (the Python package, where the module runs)
"""
